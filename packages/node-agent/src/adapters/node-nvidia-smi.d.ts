/** node-nvidia-smi 1.0.0 has no types. Its whole interface: */
declare module "node-nvidia-smi" {
  export default function nvidiaSmi(
    callback: (error: Error | string | null | undefined, report?: unknown) => void,
  ): void;
}

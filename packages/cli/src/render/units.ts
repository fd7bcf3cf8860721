/** Numbers with their units, for people: three significant digits, never an exponent. */

export function formatDuration(durationMs: number): string {
  if (durationMs < 1) return "0 ms";
  if (durationMs < 999.5) return `${Math.round(durationMs)} ms`;
  const totalSec = durationMs / 1_000;
  if (totalSec < 9.995) return `${totalSec.toFixed(2)} s`;
  if (totalSec < 59.95) return `${totalSec.toFixed(1)} s`;
  const wholeSec = Math.round(totalSec);
  const minutes = Math.floor(wholeSec / 60);
  const seconds = String(wholeSec % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${seconds} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function formatUsd(costUsd: number): string {
  return `$${threeDigits(costUsd, 2)}`;
}

export function formatWh(energyWh: number): string {
  return `${threeDigits(energyWh, 0)} Wh`;
}

export function formatCpuSec(cpuSec: number | null): string {
  return cpuSec === null ? "n/a" : cpuSec.toFixed(2);
}

/** Position in a video: `mm:ss`, or `h:mm:ss` from one hour on. */
export function formatTimecode(atSec: number): string {
  const whole = Math.floor(atSec);
  const hours = Math.floor(whole / 3_600);
  const minutes = String(Math.floor(whole / 60) % 60).padStart(2, "0");
  const seconds = String(whole % 60).padStart(2, "0");
  return hours === 0 ? `${minutes}:${seconds}` : `${hours}:${minutes}:${seconds}`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1_024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1_024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : 1;
  return `${amount.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

export function formatRatio(ratio: number | null): string {
  return ratio === null ? "n/a" : `${Math.round(ratio * 100)}%`;
}

/** `0.000123456` → `0.000123`: small amounts keep their digits instead of becoming 0.00. */
function threeDigits(amount: number, decimalsMin: number): string {
  if (amount === 0) return (0).toFixed(decimalsMin);
  const magnitude = Math.floor(Math.log10(Math.abs(amount)));
  const decimals = Math.min(12, Math.max(decimalsMin, 2 - magnitude));
  const text = amount.toFixed(decimals);
  return decimals > decimalsMin ? text.replace(/(\.\d{2,}?)0+$/, "$1") : text;
}

/** What a user may name as an input: an http(s) URL, or a path below an input root. */
import { basename } from "node:path";
import { InvalidArgumentError } from "@murakkab/kit";
import type { OpenedSource, SourceLimits, SourcePort } from "../ports.ts";
import { openInputFile } from "./file-paths.ts";
import { mediaTypeOf } from "./media-type.ts";
import type { UrlOptions } from "./url-source.ts";
import { isUrl, openUrl } from "./url-source.ts";

export interface InputOptions extends UrlOptions {
  readonly inputRoots: readonly string[];
}

export class InputSources implements SourcePort {
  readonly #options: InputOptions;

  constructor(options: InputOptions) {
    this.#options = options;
  }

  open(source: string, limits: SourceLimits): Promise<OpenedSource> {
    return isUrl(source) ? openUrl(source, limits, this.#options) : this.#openFile(source);
  }

  async #openFile(source: string): Promise<OpenedSource> {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
      throw new InvalidArgumentError(
        `input ${source.split("://")[0]}://… is not valid, expected an http or https URL or a path`,
      );
    }
    const { path, bytes, handle } = await openInputFile(source, this.#options.inputRoots);
    const name = basename(path);
    if (bytes === 0) {
      await handle.close();
      throw new InvalidArgumentError(`file ${name} is empty`);
    }
    const stream = handle.createReadStream({ autoClose: true });
    return { bytes, mediaType: mediaTypeOf(name), name, stream };
  }
}

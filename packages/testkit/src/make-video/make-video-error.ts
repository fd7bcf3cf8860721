/** Something that the one who runs the tool can put right: a field, a file, a missing program. */
export class MakeVideoError extends Error {
  override readonly name = "MakeVideoError";
  readonly code = "MAKE_VIDEO_FAILED";
}

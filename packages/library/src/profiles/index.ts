export { diffProfiles, type FieldChange, type ProfileChange } from "./diff-profiles.ts";
export { formatProfiles, profileName, sizeUnitOf } from "./format-profiles.ts";
export { type LoadedProfiles, loadProfiles, PROFILES_FOLDER } from "./load-profiles.ts";

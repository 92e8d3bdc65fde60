/** Not an error of ours to hide: it is listed with its reason, and counts as a failure. */
export class UnsupportedCase extends Error {}

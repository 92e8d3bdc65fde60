/** One file, or anything else that gives bytes by range: a file of a folder, of a server, of memory. */
export interface ByteSource {
  /** Names it in errors. */
  readonly label: string;
  /** Length in bytes. */
  readonly size: number;
  /** Bytes `begin` up to `end`, all of them: a source that cannot give them throws. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

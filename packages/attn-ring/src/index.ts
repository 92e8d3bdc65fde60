export { LAYOUTS, lengthOf, piecesOf, positionsOf, type Piece, type RingLayout } from "./layout.ts";

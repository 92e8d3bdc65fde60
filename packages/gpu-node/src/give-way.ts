const never = new Int32Array(new SharedArrayBuffer(4));
const SLICE_MS = 0.25;

/**
 * While a promise of the device is pending, the `webgpu` package asks for news in every turn of the event loop, which keeps
 * one core busy. A software GPU needs that core: so sleep a little in every turn, until the function returned is called.
 */
export function giveWay(): () => void {
  let waiting = true;
  const turn = (): void => {
    if (!waiting) return;
    Atomics.wait(never, 0, 0, SLICE_MS);
    setImmediate(turn);
  };
  setImmediate(turn);
  return () => { waiting = false; };
}

export { joinWorld, type Spawner } from "./join-world.ts";
export { createSeats, type Memory, type Seat, type SeatOptions, type Seats, takeSeat } from "./seats.ts";
export { type Spawned, workerWorld } from "./worker-world.ts";

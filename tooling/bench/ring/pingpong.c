/* What the engine itself reaches: bytes there and back between ranks 0 and 1, and the same reduction as the ranks of
   Polyhead do. One line of JSON a case: median seconds one way, or of a whole reduction. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *times, int n) {
  qsort(times, n, sizeof(double), by_size);
  return times[n / 2];
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int sizes[] = {1024, 65536, 1048576, 16777216};
  const int rounds[] = {400, 200, 60, 12};
  double times[400];
  char *data = malloc(16777216), *back = malloc(16777216);
  memset(data, 1, 16777216);
  memset(back, 2, 16777216);
  for (int s = 0; s < 4; s++) {
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = -4; i < rounds[s]; i++) {
      double began = MPI_Wtime();
      if (rank == 0) {
        MPI_Send(data, sizes[s], MPI_BYTE, 1, 0, MPI_COMM_WORLD);
        MPI_Recv(back, sizes[s], MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      } else if (rank == 1) {
        MPI_Recv(back, sizes[s], MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(data, sizes[s], MPI_BYTE, 0, 0, MPI_COMM_WORLD);
      }
      if (i >= 0) times[i] = (MPI_Wtime() - began) / 2;
    }
    if (rank == 0) printf("{\"case\":\"one way\",\"bytes\":%d,\"seconds\":%.9f}\n", sizes[s], median(times, rounds[s]));
  }
  const int elements = 6250000;
  float *sum = malloc(elements * sizeof(float));
  for (int i = -1; i < 9; i++) {
    for (int j = 0; j < elements; j++) sum[j] = 1;
    MPI_Request request;
    MPI_Barrier(MPI_COMM_WORLD);
    double began = MPI_Wtime();
    MPI_Iallreduce(MPI_IN_PLACE, sum, elements, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    if (i >= 0) times[i] = MPI_Wtime() - began;
    if (sum[elements - 1] != size) return 1;
  }
  if (rank == 0) printf("{\"case\":\"allReduce\",\"bytes\":%d,\"seconds\":%.9f}\n", elements * 4, median(times, 9));
  MPI_Finalize();
  return 0;
}

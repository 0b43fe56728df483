// The plainest way to register many buffers: `register-loop DEVICE COUNT BYTES`. For every line on standard input, one
// call of ibv_reg_mr after the other and then one of ibv_dereg_mr after the other; prints the ns that each of both
// took.
#include <infiniband/verbs.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// Memory as Weightcast's `Region.allocate` gives it: anonymous, on a boundary of huge pages, which the kernel may use.
#define HUGE_PAGE ((size_t)2 << 20)

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static struct ibv_pd* open_device(const char* name) {
  int count = 0;
  struct ibv_device** devices = ibv_get_device_list(&count);
  if (devices == NULL) fail("ibv_get_device_list");
  for (int i = 0; i < count; ++i) {
    if (strcmp(ibv_get_device_name(devices[i]), name) != 0) continue;
    struct ibv_context* context = ibv_open_device(devices[i]);
    struct ibv_pd* pd = context == NULL ? NULL : ibv_alloc_pd(context);
    if (pd == NULL) fail(name);
    return pd;
  }
  fprintf(stderr, "there is no device %s\n", name);
  exit(1);
}

static char* touched(size_t bytes) {
  char* reserved = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) fail("mmap");
  char* base = (char*)(((uintptr_t)reserved + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  madvise(base, bytes, MADV_HUGEPAGE);
  memset(base, 0xee, bytes);
  return base;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "register-loop DEVICE COUNT BYTES\n");
    return 2;
  }
  const size_t count = strtoull(argv[2], NULL, 10);
  const size_t bytes = strtoull(argv[3], NULL, 10);
  struct ibv_pd* pd = open_device(argv[1]);
  char* memory = touched(count * bytes);
  struct ibv_mr** made = calloc(count, sizeof(*made));
  if (made == NULL) fail("calloc");
  char line[16];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    const uint64_t start = now();
    for (size_t i = 0; i < count; ++i) {
      made[i] = ibv_reg_mr(pd, memory + i * bytes, bytes, IBV_ACCESS_REMOTE_READ);
      if (made[i] == NULL) fail("ibv_reg_mr");
    }
    const uint64_t registered = now();
    for (size_t i = 0; i < count; ++i) {
      if (ibv_dereg_mr(made[i]) != 0) fail("ibv_dereg_mr");
    }
    printf("%" PRIu64 " %" PRIu64 "\n", registered - start, now() - registered);
    fflush(stdout);
  }
  return 0;
}

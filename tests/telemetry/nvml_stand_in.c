/* A stand-in for libnvidia-ml.so.1: two GPUs, the second split by MIG, enough of the C interface for the real
   bindings to load and call. What it answers is set by the environment, so that a test can make it fail. */
#include <stdlib.h>
#include <string.h>

typedef int result;
enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15 };

/* Devices: 1 and 2 are GPUs, 11 and 12 the MIG instances of the second. */
typedef struct { long id; } device;
static device gpus[] = {{1}, {2}}, instances[] = {{11}, {12}};

static int set(const char *name) { const char *v = getenv(name); return v ? atoi(v) : 0; }
static long id(void *d) { return ((device *)d)->id; }

result nvmlInitWithFlags(unsigned flags) { return set("STAND_IN_INIT"); }
result nvmlInit_v2(void) { return set("STAND_IN_INIT"); }
result nvmlShutdown(void) { return set("STAND_IN_SHUTDOWN"); }
const char *nvmlErrorString(result r) { return "a stand-in's error"; }

result nvmlDeviceGetCount_v2(unsigned *count) { *count = set("STAND_IN_GPUS"); return set("STAND_IN_COUNT"); }

result nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  if (index >= (unsigned)set("STAND_IN_GPUS")) return INVALID;
  *handle = &gpus[index];
  return SUCCESS;
}

result nvmlDeviceGetName(void *d, char *name, unsigned length) {
  strncpy(name, "NVIDIA Stand-in 80GB", length);
  return SUCCESS;
}

result nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *pending) {
  if (id(d) == 1) return NOT_SUPPORTED;
  *now = *pending = 1;
  return SUCCESS;
}
result nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *count) { *count = 3; return SUCCESS; }
result nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned index, void **handle) {
  if (index >= 2) return NOT_FOUND;
  *handle = &instances[index];
  return SUCCESS;
}

typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;

result nvmlDeviceGetMemoryInfo(void *d, memory_v1 *m) {
  m->total = 80000; m->used = 61000; m->free = 19000;
  return SUCCESS;
}
result nvmlDeviceGetMemoryInfo_v2(void *d, memory_v2 *m) {
  if (set("STAND_IN_OLD")) return NOT_SUPPORTED;
  m->total = id(d) > 10 ? 20000 : 80000;
  m->reserved = 1000;
  m->used = id(d) > 10 ? 100 * id(d) : 60000;
  m->free = m->total - m->reserved - m->used;
  return SUCCESS;
}

typedef struct { unsigned gpu, memory; } utilization;
result nvmlDeviceGetUtilizationRates(void *d, utilization *u) {
  if (id(d) != 1) return NOT_SUPPORTED;
  u->gpu = 87; u->memory = 40;
  return SUCCESS;
}
result nvmlDeviceGetPowerUsage(void *d, unsigned *mw) {
  if (set("STAND_IN_LOST")) return LOST;
  *mw = 312500;
  return SUCCESS;
}
result nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) {
  if (set("STAND_IN_OLD")) return NOT_SUPPORTED;
  *mj = 123456789;
  return SUCCESS;
}

typedef struct { unsigned version; int sensor; int celsius; } temperature;
result nvmlDeviceGetTemperatureV(void *d, temperature *t) {
  if (set("STAND_IN_OLD")) return NOT_SUPPORTED;
  t->celsius = 64;
  return SUCCESS;
}
result nvmlDeviceGetTemperature(void *d, int sensor, unsigned *celsius) { *celsius = 63; return SUCCESS; }
result nvmlDeviceGetClockInfo(void *d, int kind, unsigned *mhz) { *mhz = kind == 1 ? 1755 : 0; return SUCCESS; }
result nvmlDeviceGetCurrentClocksEventReasons(void *d, unsigned long long *reasons) {
  *reasons = id(d) == 1 ? 0x04 : 0x01; /* power cap; idle */
  return SUCCESS;
}

typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } process;
static result fill(process *to, unsigned *count, const process *from, unsigned n) {
  if (*count < n || !to) { *count = n; return n ? TOO_SMALL : SUCCESS; }
  memcpy(to, from, n * sizeof *from);
  *count = n;
  return SUCCESS;
}
result nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *count, process *to) {
  if (set("STAND_IN_NO_PROCESSES")) return NO_PERMISSION;
  unsigned engine = set("STAND_IN_PID");
  process on_first[] = {{engine, set("STAND_IN_NO_SIZES") ? ~0ULL : 50000, -1, -1}, {4000001, 9000, -1, -1}, {4000002, ~0ULL, -1, -1}};
  process on_last[] = {{engine, 700, 2, 0}};
  if (id(d) == 1) return fill(to, count, on_first, 3);
  if (id(d) == 12 && set("STAND_IN_ENGINE_ON_MIG")) return fill(to, count, on_last, 1);
  return fill(to, count, on_last, 0);
}

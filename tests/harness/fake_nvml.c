/* Two GPUs, of which the second is old: what vbench.telemetry.gpus asks of NVML, where there is none. */

#include <string.h>

#define OK 0
#define NOT_SUPPORTED 3

typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned long long total, free, used; } memory;

static int opened;
static int handles[2] = {0, 1};

int nvmlInitWithFlags(unsigned flags) { opened += 1; return flags ? NOT_SUPPORTED : OK; }
int nvmlShutdown(void) { opened -= 1; return opened < 0 ? NOT_SUPPORTED : OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &handles[index]; return OK; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "580.1", size); return OK; }

int nvmlDeviceGetName(int *handle, char *text, unsigned size)
{
    strncpy(text, *handle ? "Old GPU" : "New GPU", size);
    return OK;
}

int nvmlDeviceGetMemoryInfo(int *handle, memory *found)
{
    found->total = *handle ? 8000000000ull : 80000000000ull;
    found->used = 1500000000ull;
    found->free = found->total - found->used;
    return OK;
}

int nvmlDeviceGetUtilizationRates(int *handle, utilization *found)
{
    found->gpu = *handle ? 7 : 93;
    found->memory = 1;
    return *handle ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetTotalEnergyConsumption(int *handle, unsigned long long *millijoules)
{
    *millijoules = 1234500;
    return *handle ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetClockInfo(int *handle, unsigned kind, unsigned *mhz)
{
    *mhz = kind == 1 ? 1980 : 0;
    return OK;
}

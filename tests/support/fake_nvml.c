/* Two GPUs, of which the second is old: what vbench.telemetry.gpus asks of NVML, where there is none. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK 0
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7

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

/* Who computes on the first GPU: FAKE_NVML_PIDS="PID SM PID SM ...", a sample each second, at 1000 and 2000 us. */

typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } process;
typedef struct { unsigned pid; unsigned long long at; unsigned sm, memory, encoder, decoder; } sample;

static int told(sample *found, int room)
{
    const char *text = getenv("FAKE_NVML_PIDS");
    int count = 0, length = 0;
    unsigned pid, sm;
    while (text && sscanf(text, "%u %u%n", &pid, &sm, &length) == 2) {
        text += length;
        if (count < room) {
            memset(&found[count], 0, sizeof *found);
            found[count].pid = pid;
            found[count].at = 1000 * (unsigned long long)(count + 1);
            found[count].sm = sm;
        }
        count += 1;
    }
    return count;
}

int nvmlDeviceGetComputeRunningProcesses_v3(int *handle, unsigned *count, process *found)
{
    sample all[16];
    int many = *handle ? 0 : told(all, 16);
    unsigned room = *count;
    *count = many;
    if (many && room < (unsigned)many) return INSUFFICIENT_SIZE;
    for (int i = 0; i < many; i++) {
        memset(&found[i], 0, sizeof *found);
        found[i].pid = all[i].pid;
    }
    return OK;
}

int nvmlDeviceGetProcessUtilization(int *handle, sample *found, unsigned *count, unsigned long long since)
{
    sample all[16];
    int many = told(all, 16), kept = 0;
    unsigned room = *count;
    if (*handle) return NOT_SUPPORTED;
    for (int i = 0; i < many; i++) {
        if (all[i].at > since) {
            if (found && (unsigned)kept < room) found[kept] = all[i];
            kept += 1;
        }
    }
    *count = kept;
    if (!kept) return NOT_FOUND;
    return found && room >= (unsigned)kept ? OK : INSUFFICIENT_SIZE;
}

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Everything that each family includes. */
#ifndef EUNOMIA_SENSOR_H
#define EUNOMIA_SENSOR_H

#include "vmlinux.h"
#include "read.h"
#include "record.h"
#include "maps.h"
#include "cgroup.h"
#include "task.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif

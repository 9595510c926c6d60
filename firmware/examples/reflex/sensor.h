/* What the network of this folder has around it: called before and after each step. */
#ifndef SENSOR_H
#define SENSOR_H
#include "nm.h"

void nm_sense(nm_engine *engine);
void nm_act(const nm_engine *engine);

#endif

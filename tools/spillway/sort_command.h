// `spillway sort`: sorts the lines of files larger than memory.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SORT_COMMAND_H_
#define SPILLWAY_TOOLS_SPILLWAY_SORT_COMMAND_H_

#include "tools/spillway/command.h"

namespace spillway {

Command SortCommand();

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_SORT_COMMAND_H_

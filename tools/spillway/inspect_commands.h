// Commands that look into a spill directory: `spillway ls`, `stat`, `verify` and `get`.
#ifndef SPILLWAY_TOOLS_SPILLWAY_INSPECT_COMMANDS_H_
#define SPILLWAY_TOOLS_SPILLWAY_INSPECT_COMMANDS_H_

#include "tools/spillway/command.h"

namespace spillway {

Command LsCommand();
Command StatCommand();
Command VerifyCommand();
Command GetCommand();

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_INSPECT_COMMANDS_H_

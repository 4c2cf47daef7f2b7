// `spillway schema`: prints the schemas of payloads, for programs in any language to read them by.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SCHEMA_COMMAND_H_
#define SPILLWAY_TOOLS_SPILLWAY_SCHEMA_COMMAND_H_

#include "tools/spillway/command.h"

namespace spillway {

Command SchemaCommand();

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_SCHEMA_COMMAND_H_

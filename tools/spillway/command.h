// A subcommand of the `spillway` program.
#ifndef SPILLWAY_TOOLS_SPILLWAY_COMMAND_H_
#define SPILLWAY_TOOLS_SPILLWAY_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace spillway {

struct Command {
  std::string name;
  std::string arguments;           // as in "--output=OUT FILE..."
  std::string summary;             // one line
  std::string details;             // more for `spillway help NAME`; may be empty
  std::vector<std::string> flags;  // that it takes, in the order in which help shows them

  // Does the job, with the arguments that are no flags. InvalidArgument is a mistake of the
  // caller's (exit code 2); every other error is a failure (1). The message is what the caller
  // reads.
  absl::Status (*run)(const std::vector<std::string>& arguments);
};

// All subcommands, in the order in which help shows them.
absl::Span<const Command> Commands();

// The subcommand called `name`, or null.
const Command* FindCommand(const std::string& name);

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_COMMAND_H_

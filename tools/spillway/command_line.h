// Reads a command line into gflags' flags, and says in one line what is wrong with it.
//
// Where gflags would print and exit with a code of its own, this returns a status. Flags are
// written --name=value, --name value, --name or --noname (booleans); a single dash and dashes for
// underscores will do too. `--` ends the flags; `-` alone is an argument.
#ifndef SPILLWAY_TOOLS_SPILLWAY_COMMAND_LINE_H_
#define SPILLWAY_TOOLS_SPILLWAY_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace spillway {

// Sets the flags in `words` that are among `flags` and returns the other words, in their order.
// InvalidArgument: a flag that is not among them, one without its value, or a value that is not of
// its type.
absl::StatusOr<std::vector<std::string>> ReadFlags(absl::Span<const std::string> words,
                                                   absl::Span<const std::string> flags);

// The one of `names` that `word` may have been meant to be; empty if none is near.
std::string Nearest(const std::string& word, absl::Span<const std::string> names);

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_COMMAND_LINE_H_

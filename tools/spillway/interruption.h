// SIGINT, SIGTERM and SIGHUP as a request to stop in order: work under way ends with a Cancelled
// status and cleans up behind itself, and then the process dies of the signal, as its parent
// expects.
//
//     Interruption::Install();                       // first thing in main(): threads inherit its
//     mask
//     ...
//     if (absl::Status status = Interruption::Check(); !status.ok()) return status;
//     ...
//     Interruption::DieIfInterrupted();              // last thing in main()
//
// A second signal, or work that has not ended within some seconds, ends the process at once; what
// is registered as a TemporaryPath is removed even then.
//
// Thread-safety: Install and DieIfInterrupted belong to main(); the others may be called by any
// thread.
#ifndef SPILLWAY_TOOLS_SPILLWAY_INTERRUPTION_H_
#define SPILLWAY_TOOLS_SPILLWAY_INTERRUPTION_H_

#include "absl/status/status.h"

namespace spillway {

class Interruption {
 public:
  static void Install();

  // OK, or Cancelled that names the signal. Costs one atomic load.
  static absl::Status Check();

  // Waits until `fd` can be read or a signal has come; the latter is Cancelled, as from Check.
  static absl::Status WaitUntilReadable(int fd);

  // Ends the process by the signal that came, if one did.
  static void DieIfInterrupted();
};

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_INTERRUPTION_H_

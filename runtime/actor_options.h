// What a caller can choose for an actor. Every limit has a name here.
#ifndef SPILLWAY_RUNTIME_ACTOR_OPTIONS_H_
#define SPILLWAY_RUNTIME_ACTOR_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace spillway {

struct ActorOptions {
  // Under which Runtime::FindActor finds it, while it lives; empty for none. Shown in errors and in
  // the timeline.
  std::string name = {};

  // Calls that run at once. With more than one the object has to be thread-safe, and calls begin in
  // order but overlap.
  int max_concurrency = 1;

  // Calls that may wait. Another one waits for room, so long at most, and is then
  // ResourceExhausted; a call that the actor makes of itself does not wait.
  uint64_t mailbox_max = uint64_t{1} << 20;
  absl::Duration mailbox_wait_max = absl::Seconds(30);

  // After a fatal failure (see Fatal) the object is built anew by its constructor, with the same
  // arguments, and gets its last checkpoint; so often. Calls that wait are kept.
  int max_restarts = 0;
  // Whether an exception that a method throws is fatal: the object may be in any state.
  bool exceptions_are_fatal = true;

  // The state is saved after so many calls; 0 for on request only. Needs SaveState, LoadState and
  // max_concurrency = 1.
  uint64_t checkpoint_every = 0;
  // Checkpoints are durable objects, found under CheckpointName(name) by later processes too; each
  // takes the place of the one before as a whole. Needs a name, SaveState and LoadState, and a
  // store with StoreOptions::recovery = kKeep. The last checkpoint stays when the actor ends.
  bool durable = false;
  // The actor begins with the last durable checkpoint of its name, if there is one. Needs
  // `durable`.
  bool restore = false;
};

// The name of the durable checkpoint of the actor `name`, for ObjectStore::Find and Unbind.
std::string CheckpointName(const std::string& name);

// Marks a failure that a method returns: the object cannot go on. The actor is built anew or ends.
absl::Status Fatal(absl::Status failure);
bool IsFatal(const absl::Status& failure);

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_ACTOR_OPTIONS_H_

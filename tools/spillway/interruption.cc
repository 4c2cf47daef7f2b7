#include "tools/spillway/interruption.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "tools/spillway/temporary_path.h"

namespace spillway {
namespace {

// Work gets this long to end in order.
constexpr timespec kPatience = {.tv_sec = 10, .tv_nsec = 0};

std::atomic<int> signal_received{0};
int wake_fd = -1;  // readable once a signal has come

// The signals that count: set once by Install.
sigset_t signals;

// Those that the parent chose to have ignored, as nohup does, stay ignored.
sigset_t SignalsToWatch() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN)
      sigaddset(&set, signal);
  }
  return set;
}

void WatchForSignals() {
  pthread_setname_np(pthread_self(), "signals");
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  signal_received.store(signal);
  const uint64_t one = 1;
  if (write(wake_fd, &one, sizeof(one)) < 0) PLOG(ERROR) << "cannot tell of a signal";
  // Whether another signal comes or patience ends: it takes too long.
  while (sigtimedwait(&signals, nullptr, &kPatience) < 0 && errno == EINTR) {
  }
  TemporaryPath::RemoveAll();
  _exit(128 + signal);
}

}  // namespace

void Interruption::Install() {
  wake_fd = eventfd(0, EFD_CLOEXEC);
  PCHECK(wake_fd >= 0);
  signals = SignalsToWatch();
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &signals, nullptr), 0);
  std::thread(WatchForSignals).detach();
}

absl::Status Interruption::Check() {
  const int signal = signal_received.load(std::memory_order_relaxed);
  if (signal == 0) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("interrupted by SIG", sigabbrev_np(signal)));
}

absl::Status Interruption::WaitUntilReadable(int fd) {
  while (true) {
    absl::Status status = Check();
    if (!status.ok()) return status;
    pollfd fds[2] = {{.fd = fd, .events = POLLIN, .revents = 0},
                     {.fd = wake_fd, .events = POLLIN, .revents = 0}};
    // An error on `fd` shows in revents too; the read that follows reports it.
    if (poll(fds, 2, -1) > 0 && fds[0].revents != 0) return Check();
  }
}

void Interruption::DieIfInterrupted() {
  const int signal = signal_received.load();
  if (signal == 0) return;
  ::signal(signal, SIG_DFL);
  raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace spillway

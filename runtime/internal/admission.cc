#include "runtime/internal/admission.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task_error.h"

namespace spillway::internal {

namespace {

// Ready tasks with pinned arguments: some for each worker, so that none runs dry.
constexpr size_t kStagedPerWorker = 4;
constexpr size_t kStagedMin = 8;

// What the eviction policy is told to spare for tasks that wait, as a share of the limit.
constexpr double kWindowShare = 0.3;

// The distinct arguments of a task: fn(ref).
template <typename Fn>
void ForEachArgument(const Task* task, Fn fn) {
  if (task->dependency_count() == 1) return fn(task->dependency(0));
  absl::InlinedVector<const AnyRef*, 8> refs;
  for (size_t i = 0; i < task->dependency_count(); ++i) refs.push_back(&task->dependency(i));
  std::sort(refs.begin(), refs.end(),
            [](const AnyRef* a, const AnyRef* b) { return a->key() < b->key(); });
  const void* last = nullptr;
  for (const AnyRef* ref : refs) {
    if (std::exchange(last, ref->key()) != ref->key()) fn(*ref);
  }
}

// A value that is lost and being made again is not waited for here: what makes it needs this
// thread.
GetOptions PinOptions() {
  GetOptions options;
  options.label = "argument of an admitted task";
  options.wait_for_value_max = absl::ZeroDuration();
  return options;
}

uint64_t ArgumentBytes(const Task* task) {
  uint64_t bytes = 0;
  ForEachArgument(task, [&bytes](const AnyRef& ref) { bytes += ref.size_bytes(); });
  return bytes;
}

}  // namespace

Admission::Admission(RuntimeCore* core, const RuntimeOptions& options, int workers)
    : core_(core),
      share_max_(options.arguments_share_max),
      no_progress_max_(options.no_progress_max),
      fetch_threads_(options.dependency_aware ? options.fetch_threads : 0),
      staged_max_(std::max(kStagedMin, kStagedPerWorker * static_cast<size_t>(workers))) {}

Admission::~Admission() { Stop(); }

void Admission::Start(Executor* background) {
  for (int i = 0; i < fetch_threads_; ++i) {
    jobs_.push_back(background->Start(absl::StrCat("fetch-", i), [this] { return FetchStep(); }));
  }
}

void Admission::Stop() {
  std::deque<Task*> left;
  Line line;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (const auto& job : jobs_) job->Stop();
  absl::flat_hash_map<Task*, Share> shares;
  {
    MutexLock lock(&mutex_);
    left.swap(to_fetch_);
    line.swap(line_);
    first_unhinted_ = line_.end();
    shares.swap(shares_);
  }
  for (Task* task : left) task->Unref();
  for (const Waiting& waiting : line) waiting.task->Unref();
}

uint64_t Admission::LimitBytes() const {
  return static_cast<uint64_t>(share_max_ *
                               static_cast<double>(core_->store()->memory_limit_bytes()));
}

uint64_t Admission::MissingBytes(const Task* task) const {
  uint64_t bytes = 0;
  ForEachArgument(task, [&](const AnyRef& ref) {
    mutex_.AssertHeld();
    const auto found = objects_.find(ref.key());
    if (found == objects_.end() || found->second.admitted == 0) bytes += ref.size_bytes();
  });
  return bytes;
}

bool Admission::AllResident(const Task* task) {
  if (task->dependency_count() > kArgumentsAskedMax) return false;
  for (size_t i = 0; i < task->dependency_count(); ++i) {
    if (!task->dependency(i).resident()) return false;
  }
  return true;
}

void Admission::Admit(Task* task) {
  if (task->dependency_count() == 0 || fetch_threads_ == 0) return core_->MakeReady(task);
  const uint64_t bytes = ArgumentBytes(task);
  if (bytes <= kSmallBytes) return core_->MakeReady(task);
  const uint64_t limit = LimitBytes();
  if (bytes > limit) {
    core_->EndUnrun(
        task, FailureOf(task->name(),
                        absl::ResourceExhaustedError(absl::StrFormat(
                            "the arguments take %d bytes together, and never more than %d may be "
                            "in memory (arguments_share_max = %g of the memory limit): pass less "
                            "at once, or raise the limit",
                            bytes, limit, share_max_))));
    return;
  }
  bool watch = false;
  {
    MutexLock lock(&mutex_);
    if (stopped_) return;
    task->Ref();
    line_.push_back({task, bytes});
    task->in_admission().store(true);
    if (first_unhinted_ == line_.end()) first_unhinted_ = std::prev(line_.end());
    ForEachArgument(task, [this](const AnyRef& ref) {
      mutex_.AssertHeld();
      ++objects_[ref.key()].waiting;
    });
    watch = !std::exchange(watched_, true);
  }
  if (watch) core_->WatchProgress(core_->clock()->Now() + no_progress_max_ / 4);
  Update();
}

void Admission::TakeOut(Line::iterator at) {
  if (first_unhinted_ == at) ++first_unhinted_;
  if (at->hinted) hinted_bytes_ -= at->bytes;
  ForEachArgument(at->task, [this](const AnyRef& ref) {
    mutex_.AssertHeld();
    const auto found = objects_.find(ref.key());
    --found->second.waiting;
    if (found->second.waiting == 0 && found->second.admitted == 0) objects_.erase(found);
  });
  line_.erase(at);
}

Admission::Line::iterator Admission::Choose() {
  const uint64_t limit = LimitBytes();
  const uint64_t room = limit > admitted_bytes_ ? limit - admitted_bytes_ : 0;
  auto fits = line_.end();
  size_t looked_at = 0;
  for (auto at = line_.begin(); at != line_.end() && looked_at < kLookedAtMax; ++at, ++looked_at) {
    if (at->task->state() == TaskState::kDone) return at;  // cancelled: out of the way
    if (MissingBytes(at->task) <= room) {
      if (AllResident(at->task)) {
        fits = at;
        break;
      }
      if (fits == line_.end()) fits = at;
    }
    if (line_.front().passed_over >= kPassedOverMax) break;  // it, or nobody
  }
  if (fits != line_.end() && fits != line_.begin()) ++line_.front().passed_over;
  return fits;
}

void Admission::AdmitSome(std::vector<Task*>* admitted, std::vector<Task*>* over) {
  while (!line_.empty() && staged_ < staged_max_) {
    const auto at = Choose();
    if (at == line_.end()) return;
    Task* const task = at->task;
    if (task->state() == TaskState::kDone) {
      TakeOut(at);
      over->push_back(task);
      continue;
    }
    ForEachArgument(task, [this](const AnyRef& ref) {
      mutex_.AssertHeld();
      Object& object = objects_[ref.key()];
      if (object.admitted++ > 0) return;
      object.bytes = ref.size_bytes();
      admitted_bytes_ += object.bytes;
    });
    TakeOut(at);
    shares_.emplace(task, Share{});
    ++staged_;
    admitted->push_back(task);
  }
}

void Admission::ExtendWindow(std::vector<std::pair<AnyRef, PolicyHint>>* hints) {
  const auto window = static_cast<uint64_t>(
      kWindowShare * static_cast<double>(core_->store()->memory_limit_bytes()));
  while (first_unhinted_ != line_.end() && hinted_bytes_ + first_unhinted_->bytes <= window) {
    ForEachArgument(first_unhinted_->task, [hints](const AnyRef& ref) {
      hints->emplace_back(ref, PolicyHint::kNeededSoon);
    });
    first_unhinted_->hinted = true;
    hinted_bytes_ += first_unhinted_->bytes;
    ++first_unhinted_;
  }
}

void Admission::Update() {
  std::vector<Task*> admitted, over;
  std::vector<std::pair<AnyRef, PolicyHint>> hints;
  {
    MutexLock lock(&mutex_);
    if (stopped_) return;
    AdmitSome(&admitted, &over);
    ExtendWindow(&hints);
  }
  for (const auto& [ref, hint] : hints) ref.Hint(hint);
  for (Task* task : over) task->Unref();
  for (Task* task : admitted) Stage(task);
}

void Admission::Stage(Task* task) {
  // Cancelled before it was admitted: nobody else gives its share back.
  if (task->state() == TaskState::kDone) {
    Release(task);
    task->Unref();
    return;
  }
  if (AllResident(task)) {
    std::vector<RawView> pins;
    const GetOptions options = PinOptions();
    absl::Status status;
    for (size_t i = 0; i < task->dependency_count() && status.ok(); ++i) {
      absl::StatusOr<RawView> pin = task->dependency(i).GetRaw(options);
      if (pin.ok()) {
        pins.push_back(*std::move(pin));
      } else {
        status = pin.status();
      }
    }
    if (status.ok()) {
      {
        MutexLock lock(&mutex_);
        const auto share = shares_.find(task);
        if (share != shares_.end()) share->second.pins = std::move(pins);
      }
      core_->MakeReady(task);
      task->Unref();
      return;
    }
  }
  {
    MutexLock lock(&mutex_);
    if (!stopped_) {
      to_fetch_.push_back(task);
      task = nullptr;
    }
  }
  if (task != nullptr) return task->Unref();
  for (const auto& job : jobs_) job->Wake();
}

absl::Time Admission::FetchStep() {
  Task* task = nullptr;
  {
    MutexLock lock(&mutex_);
    if (stopped_ || to_fetch_.empty()) return absl::InfiniteFuture();
    task = to_fetch_.front();
    to_fetch_.pop_front();
    ++fetching_;
  }
  const int64_t began_ns = core_->trace().on() ? core_->clock()->MonotonicNanos() : 0;
  std::vector<RawView> pins;
  absl::Status status;
  const GetOptions options = PinOptions();
  for (size_t i = 0; i < task->dependency_count() && status.ok(); ++i) {
    if (task->state() == TaskState::kDone) break;
    absl::StatusOr<RawView> pin = task->dependency(i).GetRaw(options);
    if (pin.ok()) {
      pins.push_back(*std::move(pin));
    } else {
      status = pin.status();
    }
  }
  if (began_ns != 0) {
    core_->trace().Add(-1, Trace::Kind::kFetch, task->name(), began_ns,
                       core_->clock()->MonotonicNanos());
  }
  {
    MutexLock lock(&mutex_);
    --fetching_;
    const auto share = shares_.find(task);
    // A task that was ended meanwhile has given its share back; the pins go with this function.
    if (share != shares_.end() && status.ok()) share->second.pins = std::move(pins);
  }
  if (status.ok()) {
    core_->MakeReady(task);
  } else if (absl::IsDeadlineExceeded(status)) {
    // An argument was lost, and is made again: as if it had never been there.
    Release(task);
    core_->AwaitArgumentsAgain(task);
  } else {
    core_->EndUnrun(task, FailureByArgument(task->name(), status));
  }
  task->Unref();
  return absl::InfinitePast();
}

void Admission::Started(Task* task) {
  {
    MutexLock lock(&mutex_);
    const auto share = shares_.find(task);
    if (share == shares_.end() || !std::exchange(share->second.staged, false)) return;
    --staged_;
  }
  Update();
}

void Admission::Release(Task* task) {
  if (!task->in_admission().load()) return;
  std::vector<RawView> pins;
  std::vector<std::pair<AnyRef, PolicyHint>> hints;
  {
    MutexLock lock(&mutex_);
    const auto share = shares_.find(task);
    if (share == shares_.end()) return;
    pins = std::move(share->second.pins);
    if (share->second.staged) --staged_;
    shares_.erase(share);
    const bool others_wait = !line_.empty();
    ForEachArgument(task, [&](const AnyRef& ref) {
      mutex_.AssertHeld();
      const auto found = objects_.find(ref.key());
      if (--found->second.admitted > 0) return;
      admitted_bytes_ -= found->second.bytes;
      if (found->second.waiting > 0) return;
      if (others_wait) hints.emplace_back(ref, PolicyHint::kNotNeeded);
      objects_.erase(found);
    });
  }
  pins.clear();
  for (const auto& [ref, hint] : hints) ref.Hint(hint);
  Update();
}

absl::Time Admission::CheckProgress(absl::Time now) {
  Task* youngest = nullptr;
  {
    MutexLock lock(&mutex_);
    if (line_.empty() || stopped_) {
      watched_ = false;
      progress_at_ = absl::InfiniteFuture();
      return absl::InfiniteFuture();
    }
    const uint64_t progress = core_->Sum(Tally::kStarted) + core_->Sum(Tally::kFinished);
    const bool nothing_moves =
        progress == progress_seen_ && staged_ == 0 && core_->scheduler().Idle();
    if (!nothing_moves || progress_at_ == absl::InfiniteFuture()) {
      progress_seen_ = progress;
      progress_at_ = now;
    } else if (now - progress_at_ >= no_progress_max_) {
      youngest = line_.back().task;
      TakeOut(std::prev(line_.end()));
      progress_at_ = now;
    }
  }
  if (youngest != nullptr) {
    core_->Count(Tally::kNoProgressFailures);
    core_->EndUnrun(
        youngest,
        FailureOf(youngest->name(),
                  absl::ResourceExhaustedError(absl::StrFormat(
                      "no room in memory for %d bytes of arguments: tasks that wait for others "
                      "hold it, and nothing has run for %s (no_progress_max)",
                      ArgumentBytes(youngest), absl::FormatDuration(no_progress_max_)))));
    youngest->Unref();
    Update();
  }
  return now + no_progress_max_ / 4;
}

uint64_t Admission::waiting() const {
  MutexLock lock(&mutex_);
  return line_.size();
}

uint64_t Admission::fetching() const {
  MutexLock lock(&mutex_);
  return to_fetch_.size() + fetching_;
}

uint64_t Admission::admitted_bytes() const {
  MutexLock lock(&mutex_);
  return admitted_bytes_;
}

}  // namespace spillway::internal

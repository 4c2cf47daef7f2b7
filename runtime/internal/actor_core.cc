#include "runtime/internal/actor_core.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "runtime/internal/runtime_core.h"
#include "runtime/internal/task_error.h"

namespace spillway {

absl::Status Fatal(absl::Status failure) { return internal::MarkFatal(std::move(failure)); }
bool IsFatal(const absl::Status& failure) { return internal::IsMarkedFatal(failure); }

std::string CheckpointName(const std::string& name) { return absl::StrCat("actor/", name); }

namespace internal {

namespace {

// Who waits for room in a mailbox looks so often, whether woken or not.
constexpr absl::Duration kLookAgain = absl::Milliseconds(50);

}  // namespace

// With a call goes what the user gave it, and perhaps the last reference to the actor.
class ActorCore::Dropped {
 public:
  Dropped() = default;
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;
  ~Dropped() {
    for (Task* call : calls_) call->Unref();
  }
  void Add(Task* call) { calls_.push_back(call); }

 private:
  absl::InlinedVector<Task*, 4> calls_;
};

ActorCore::ActorCore(std::shared_ptr<RuntimeCore> core, const ActorOptions& options, ActorType type)
    : options_(options), type_(std::move(type)), core_(std::move(core)) {}

ActorCore::~ActorCore() = default;

bool ActorCore::AddHandleIfAny() {
  uint32_t handles = handles_.load(std::memory_order_relaxed);
  while (handles > 0) {
    if (handles_.compare_exchange_weak(handles, handles + 1, std::memory_order_relaxed)) {
      Ref();
      return true;
    }
  }
  return false;
}

void ActorCore::DropHandle() {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    MutexLock lock(&mutex_);
    StartTurns();
  }
  Unref();
}

std::shared_ptr<RuntimeCore> ActorCore::core() { return core_->attached() ? core_ : nullptr; }

void ActorCore::Begin() {
  core_->Count(Tally::kActorsCreated);
  if (!options_.name.empty()) {
    if (absl::Status status = core_->RegisterActor(options_.name, this); !status.ok()) {
      return End(status, /*failed=*/true);
    }
  }
  core_->AddActor(this);
  {
    MutexLock lock(&mutex_);
    listed_ = true;
    if (state_ != State::kDead) {
      ++turns_;
      Ref();
      core_->scheduler().Enqueue(this);
    }
  }
  // A shutdown that began meanwhile may not have seen it.
  if (!core_->accepting() && !core_->scheduler().OnWorker()) ShutDown();
}

void ActorCore::Fail(const absl::Status& status) {
  core_->Count(Tally::kActorsCreated);
  End(status, /*failed=*/true);
}

absl::Status ActorCore::status() const {
  MutexLock lock(&mutex_);
  return state_ == State::kDead ? why_dead_ : absl::OkStatus();
}

bool ActorCore::alive() const {
  MutexLock lock(&mutex_);
  return state_ != State::kDead;
}

uint64_t ActorCore::Queued() const { return mailbox_.size() + deferred_count_; }

void ActorCore::WakeCallers() {
  for (Parker* caller : callers_) caller->Unpark();
}

absl::Status ActorCore::Enter(Task* call) {
  Task* const current = Task::Current();
  std::unique_ptr<Parker> parker;
  absl::Time deadline;
  bool counted = false;
  for (;;) {
    bool wait = false;
    {
      MutexLock lock(&mutex_);
      if (!std::exchange(counted, true)) ++outstanding_;
      if (parker != nullptr) {
        callers_.erase(std::find(callers_.begin(), callers_.end(), parker.get()));
      }
      if (state_ == State::kDead) return why_dead_;
      if (stopping_) {
        return absl::FailedPreconditionError(
            absl::StrCat("actor ", options_.name, " was stopped and takes no more calls"));
      }
      if (Queued() < options_.mailbox_max) {
        const bool has_line = deferred_count_ > 0 && deferred_.contains(call->caller());
        if (call->dependency_count() > 0 || has_line) {
          call->Ref();
          deferred_[call->caller()].push_back(call);
          ++deferred_count_;
          call->SetDeferred();
        }
        return absl::OkStatus();
      }
      const absl::Time now = core_->clock()->Now();
      if (parker == nullptr) deadline = now + options_.mailbox_wait_max;
      const bool of_itself = current != nullptr && current->actor() == this;
      if (of_itself || now >= deadline) {
        return absl::ResourceExhaustedError(absl::StrFormat(
            "the mailbox of actor %s is full: %d calls wait (mailbox_max)%s", options_.name,
            Queued(),
            of_itself ? ", and a call that the actor makes of itself cannot"
                      : absl::StrCat(", for longer than ",
                                     absl::FormatDuration(options_.mailbox_wait_max))));
      }
      if (parker == nullptr) parker = core_->clock()->NewParker();
      callers_.push_back(parker.get());
      wait = true;
    }
    if (wait) {
      const absl::Status allowed = core_->scheduler().BeginBlocking([] { return false; });
      if (allowed.ok()) parker->Park(std::min(deadline, core_->clock()->Now() + kLookAgain));
      if (allowed.ok()) core_->scheduler().EndBlocking();
      if (!allowed.ok()) {
        MutexLock lock(&mutex_);
        callers_.erase(std::find(callers_.begin(), callers_.end(), parker.get()));
        return allowed;
      }
    }
  }
}

void ActorCore::Deliver(Task* call) {
  absl::Status dead;
  {
    Dropped dropped;
    MutexLock lock(&mutex_);
    if (state_ == State::kDead) {
      dead = why_dead_;
    } else if (call->deferred()) {
      call->SetDeliverable();
      FlushDeferred(call->caller(), &dropped);
      StartTurns();
    } else {
      call->Ref();
      if (call->Transit(TaskState::kWaiting, TaskState::kReady)) {
        mailbox_.push_back(call);
        StartTurns();
      } else {
        call->Unref();  // not the last one: the caller of this function has another
      }
    }
  }
  if (!dead.ok()) core_->EndUnrun(call, FailureOf(call->name(), dead));
}

void ActorCore::FlushDeferred(uint64_t caller, Dropped* dropped) {
  const auto line = deferred_.find(caller);
  if (line == deferred_.end()) return;
  std::deque<Task*>& calls = line->second;
  while (!calls.empty()) {
    Task* const call = calls.front();
    const bool over = call->state() == TaskState::kDone;  // cancelled, or an argument has failed
    if (!call->deliverable() && !over) break;
    calls.pop_front();
    --deferred_count_;
    if (!over && call->Transit(TaskState::kWaiting, TaskState::kReady)) {
      mailbox_.push_back(call);
    } else {
      dropped->Add(call);
    }
  }
  if (calls.empty()) deferred_.erase(line);
}

void ActorCore::FlushAllDeferred(Dropped* dropped) {
  std::vector<uint64_t> callers;
  for (const auto& [caller, line] : deferred_) callers.push_back(caller);
  std::sort(callers.begin(), callers.end());
  for (const uint64_t caller : callers) FlushDeferred(caller, dropped);
}

bool ActorCore::ShouldEnd() const {
  if (killed_) return true;
  return outstanding_ == 0 && (stopping_ || handles_.load(std::memory_order_acquire) == 0);
}

void ActorCore::StartTurns() {
  if (state_ == State::kDead || state_ == State::kBuilding) return;
  const uint64_t wanted = mailbox_.size() + (ShouldEnd() || !fatal_.ok() ? 1 : 0);
  // Those that run a call are not there for what waits: the call may take long.
  while (turns_ < options_.max_concurrency &&
         static_cast<uint64_t>(turns_) < running_calls_.size() + wanted) {
    ++turns_;
    Ref();
    core_->scheduler().Enqueue(this);
  }
}

void ActorCore::CallFinished() {
  Dropped dropped;
  MutexLock lock(&mutex_);
  --outstanding_;
  if (deferred_count_ > 0) FlushAllDeferred(&dropped);
  StartTurns();
}

void ActorCore::CallFailed(const absl::Status& status) {
  if (!IsFatal(status) && !(options_.exceptions_are_fatal && IsException(status))) return;
  MutexLock lock(&mutex_);
  if (fatal_.ok()) fatal_ = status;
}

void ActorCore::Run() {
  bool finished_one = false;
  for (int i = 0; i < kCallsPerTurn; ++i) {
    Task* const call = NextCall(finished_one);
    if (call == nullptr) return Unref();
    call->RunClaimed();
    {
      MutexLock lock(&mutex_);
      const auto found = std::find(running_calls_.begin(), running_calls_.end(), call);
      *found = running_calls_.back();
      running_calls_.pop_back();
    }
    call->Unref();
    finished_one = true;
  }
  // Others' turn; the reference goes along.
  core_->scheduler().Enqueue(this);
}

Task* ActorCore::NextCall(bool finished_one) {
  bool checkpoint = false;
  if (finished_one && options_.checkpoint_every > 0) {
    MutexLock lock(&mutex_);
    checkpoint = ++since_checkpoint_ >= options_.checkpoint_every && fatal_.ok();
  }
  if (checkpoint) {
    if (const absl::Status status = SaveCheckpoint(); !status.ok()) {
      LOG(ERROR) << "actor " << options_.name << " cannot be checkpointed: " << status;
    }
  }
  for (;;) {
    absl::Status fatal;
    {
      Dropped dropped;
      MutexLock lock(&mutex_);
      const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> Task* {
        --turns_;
        return nullptr;
      };
      if (state_ == State::kDead || state_ == State::kBuilding) return over();
      if (state_ == State::kAlive && fatal_.ok() && !killed_) {
        while (!mailbox_.empty()) {
          Task* const call = mailbox_.front();
          mailbox_.pop_front();
          if (!callers_.empty()) WakeCallers();
          if (call->Transit(TaskState::kReady, TaskState::kRunning)) {
            running_calls_.push_back(call);
            return call;
          }
          dropped.Add(call);  // it was cancelled
        }
        if (!ShouldEnd()) return over();
      }
      // What follows is for one turn alone: the object must not be in use.
      if (!running_calls_.empty()) return over();
      if (state_ == State::kAlive && fatal_.ok()) {
        if (!ShouldEnd()) return over();
        --turns_;
        fatal = killed_
                    ? absl::UnavailableError(absl::StrCat("actor ", options_.name, " was killed"))
                    : absl::UnavailableError(absl::StrCat("actor ", options_.name, " has ended"));
      } else {
        // This turn builds, and goes on when it is done.
        fatal = std::exchange(fatal_, absl::OkStatus());
        state_ = State::kBuilding;
      }
    }
    bool building = false;
    {
      MutexLock lock(&mutex_);
      building = state_ == State::kBuilding;
    }
    if (!building) {
      End(fatal, /*failed=*/false);
      return nullptr;
    }
    Rebuild(fatal);
    MutexLock lock(&mutex_);
    if (state_ == State::kDead) {
      --turns_;
      return nullptr;
    }
  }
}

void ActorCore::Rebuild(const absl::Status& failure) {
  if (!failure.ok()) {
    bool again = false;
    {
      MutexLock lock(&mutex_);
      again = restarts_ < options_.max_restarts && !killed_;
      if (again) ++restarts_;
    }
    if (!again) {
      return End(
          absl::UnavailableError(absl::StrCat(
              "actor ", options_.name, " has ended after a fatal failure: ", failure.message())),
          /*failed=*/true);
    }
    core_->Count(Tally::kActorRestarts);
    object_.reset();
  }
  absl::Status built = Build();
  if (!built.ok()) {
    return End(absl::Status(built.code(), absl::StrCat("actor ", options_.name,
                                                       " could not be built: ", built.message())),
               /*failed=*/true);
  }
  MutexLock lock(&mutex_);
  state_ = State::kAlive;
  StartTurns();
}

absl::Status ActorCore::Build() {
  try {
    absl::StatusOr<std::shared_ptr<void>> object = type_.build();
    if (!object.ok()) return object.status();
    object_ = *std::move(object);
    AnyRef last;
    {
      MutexLock lock(&mutex_);
      last = checkpoint_;
    }
    if (!last && options_.restore) {
      absl::StatusOr<AnyRef> found = core_->store()->Find(CheckpointName(options_.name));
      if (found.ok()) {
        last = *std::move(found);
        MutexLock lock(&mutex_);
        checkpoint_ = last;
      } else if (!absl::IsNotFound(found.status())) {
        return found.status();
      }
    }
    if (last) return type_.load(object_.get(), last);
    return absl::OkStatus();
  } catch (...) {
    return StatusOfException();
  }
}

void ActorCore::End(const absl::Status& why, bool failed) {
  std::vector<Task*> queued;
  bool listed = false;
  {
    MutexLock lock(&mutex_);
    if (state_ == State::kDead) return;
    state_ = State::kDead;
    why_dead_ = why;
    listed = std::exchange(listed_, false);
    queued.assign(mailbox_.begin(), mailbox_.end());
    mailbox_.clear();
    for (auto& [caller, line] : deferred_) {
      queued.insert(queued.end(), line.begin(), line.end());
    }
    deferred_.clear();
    deferred_count_ = 0;
    WakeCallers();
  }
  core_->Count(Tally::kActorsEnded);
  if (failed) core_->Count(Tally::kActorsDied);
  if (!options_.name.empty()) core_->UnregisterActor(options_.name, this);
  // The object before the calls' failures are seen, so that its end is over by then.
  try {
    object_.reset();
  } catch (...) {
    LOG(ERROR) << "actor " << options_.name << " ends: " << StatusOfException();
  }
  for (Task* call : queued) {
    core_->EndUnrun(call, FailureOf(call->name(), why));
    call->Unref();
  }
  if (listed) core_->RemoveActor(this);
}

void ActorCore::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  StartTurns();
}

void ActorCore::Kill() {
  std::vector<Task*> queued;
  std::vector<Task*> running;
  {
    MutexLock lock(&mutex_);
    if (state_ == State::kDead) return;
    stopping_ = true;
    killed_ = true;
    queued.assign(mailbox_.begin(), mailbox_.end());
    mailbox_.clear();
    for (auto& [caller, line] : deferred_) {
      queued.insert(queued.end(), line.begin(), line.end());
    }
    deferred_.clear();
    deferred_count_ = 0;
    running = running_calls_;
    for (Task* call : running) call->Ref();
    WakeCallers();
    StartTurns();
  }
  // Calls back what the calls have registered with their stop tokens.
  for (Task* call : running) {
    call->RequestStop();
    call->Unref();
  }
  const absl::Status killed =
      absl::CancelledError(absl::StrCat("actor ", options_.name, " was killed"));
  for (Task* call : queued) {
    core_->EndUnrun(call, FailureOf(call->name(), killed));
    call->Unref();
  }
}

void ActorCore::ShutDown() {
  End(absl::UnavailableError("the runtime was shut down"), /*failed=*/false);
}

absl::Status ActorCore::SaveCheckpoint() {
  if (type_.save == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("actor ", options_.name, " has no SaveState and LoadState"));
  }
  absl::StatusOr<AnyRef> saved = absl::UnknownError("");
  try {
    PutOptions options;
    const std::string durable_name = CheckpointName(options_.name);
    if (options_.durable) {
      options.name = durable_name;
      options.replace = true;
    }
    saved = type_.save(object_.get(), core_->store(), options);
  } catch (...) {
    saved = StatusOfException();
  }
  if (!saved.ok()) return saved.status();
  core_->Count(Tally::kCheckpoints);
  AnyRef last = *std::move(saved);
  MutexLock lock(&mutex_);
  since_checkpoint_ = 0;
  std::swap(checkpoint_, last);
  return absl::OkStatus();
}

AnyRef ActorCore::checkpoint() const {
  MutexLock lock(&mutex_);
  return checkpoint_;
}

}  // namespace internal
}  // namespace spillway

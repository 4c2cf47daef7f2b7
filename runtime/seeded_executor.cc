#include "runtime/seeded_executor.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "serialization/mutex.h"

namespace spillway {

namespace {

// Once in so many chances a thread that could go on lets another one.
constexpr uint64_t kYieldOneIn = 4;

constexpr int kWaitersNamedMax = 16;

}  // namespace

// The threads, of which one is on stage.
class SeededExecutor::Stage {
 public:
  explicit Stage(uint64_t seed) : seed_(seed), random_(seed * 0x9e3779b97f4a7c15ull + 1) {
    auto player = std::make_unique<Player>();
    player->name = "main";
    player->state = PlayerState::kOnStage;
    outer_ = std::exchange(self_, player.get());
    players_.push_back(std::move(player));
  }

  ~Stage() {
    std::vector<std::unique_ptr<Player>> players;
    {
      MutexLock lock(&mutex_);
      CHECK(self_ == players_.front().get()) << "a SeededExecutor ends where it began";
      ending_ = true;
      for (auto& player : players_) {
        CHECK(player->state == PlayerState::kIdle || player.get() == self_)
            << "a SeededExecutor ends while " << player->name << " is at work";
        player->wake.SignalAll();
      }
      players.swap(players_);
    }
    for (auto& player : players) {
      if (player->thread.joinable()) player->thread.join();
    }
    self_ = outer_;
  }

  void Start(std::string name, std::function<void()> work) {
    MutexLock lock(&mutex_);
    CheckOnStage();
    const auto idle = std::find_if(players_.begin(), players_.end(), [](const auto& player) {
      return player->state == PlayerState::kIdle;
    });
    Player* player = nullptr;
    if (idle != players_.end()) {
      player = idle->get();
    } else {
      players_.push_back(std::make_unique<Player>());
      player = players_.back().get();
    }
    player->name = std::move(name);
    player->work = std::move(work);
    MakeRunnable(player);
    if (!player->thread.joinable()) {
      player->thread = std::thread([this, player] { Play(player); });
    }
  }

  void MayYield() {
    MutexLock lock(&mutex_);
    CheckOnStage();
    if (Random() % kYieldOneIn != 0) return;
    MakeRunnable(self_);
    SwitchFrom(self_);
  }

  // For a parker.
  bool Park(bool* permit, void** waiter, absl::Time deadline) {
    MutexLock lock(&mutex_);
    CheckOnStage();
    Player* const self = self_;
    if (!*permit) {
      if (deadline <= now_) {
        MakeRunnable(self);
      } else {
        CHECK(*waiter == nullptr) << "two threads wait at one parker";
        *waiter = self;
        self->state = PlayerState::kWaiting;
        self->deadline = deadline;
      }
      SwitchFrom(self);
      *waiter = nullptr;
    }
    return std::exchange(*permit, false);
  }
  void Unpark(bool* permit, void** waiter) {
    MutexLock lock(&mutex_);
    CheckOnStage();
    *permit = true;
    if (*waiter != nullptr) {
      MakeRunnable(static_cast<Player*>(*waiter));
      *waiter = nullptr;
    }
  }

  absl::Time Now() {
    MutexLock lock(&mutex_);
    return now_;
  }
  uint64_t switches() {
    MutexLock lock(&mutex_);
    return switches_;
  }

 private:
  enum class PlayerState { kIdle, kRunnable, kOnStage, kWaiting };
  struct Player {
    std::string name;
    PlayerState state = PlayerState::kIdle;
    absl::Time deadline = absl::InfiniteFuture();  // while it waits
    std::function<void()> work;
    CondVar wake;
    std::thread thread;
  };

  void CheckOnStage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    CHECK(self_ != nullptr && self_->state == PlayerState::kOnStage)
        << "a thread that a SeededExecutor does not play uses its clock or executor";
  }

  uint64_t Random() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uint64_t x = random_ += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }

  void MakeRunnable(Player* player) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    player->state = PlayerState::kRunnable;
    runnable_.push_back(player);
  }

  // Lets somebody else, or the same player, go on; returns when `self` is on stage again, or at the
  // end.
  void SwitchFrom(Player* self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (runnable_.empty()) LetTimePass();
    const size_t at = Random() % runnable_.size();
    Player* const next = runnable_[at];
    runnable_.erase(runnable_.begin() + static_cast<ptrdiff_t>(at));
    next->state = PlayerState::kOnStage;
    ++switches_;
    if (next != self) next->wake.Signal();
    while (self->state != PlayerState::kOnStage && !ending_) self->wake.Wait(&mutex_);
  }

  void LetTimePass() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Player* first = nullptr;
    std::string waiting;
    int named = 0;
    for (const auto& player : players_) {
      if (player->state != PlayerState::kWaiting) continue;
      if (named++ < kWaitersNamedMax) absl::StrAppend(&waiting, " ", player->name);
      if (player->deadline == absl::InfiniteFuture()) continue;
      if (first == nullptr || player->deadline < first->deadline) first = player.get();
    }
    CHECK(first != nullptr) << "seed " << seed_ << ": nobody can go on. Waiting:" << waiting;
    now_ = std::max(now_, first->deadline);
    MakeRunnable(first);
  }

  void Play(Player* player) {
    self_ = player;
    MutexLock lock(&mutex_);
    for (;;) {
      while (player->state != PlayerState::kOnStage && !ending_) player->wake.Wait(&mutex_);
      if (ending_) return;
      std::function<void()> work = std::exchange(player->work, nullptr);
      mutex_.Unlock();
      work();
      work = nullptr;
      mutex_.Lock();
      player->state = PlayerState::kIdle;
      SwitchFrom(player);
    }
  }

  static thread_local Player* self_;

  const uint64_t seed_;
  Player* outer_ = nullptr;
  Mutex mutex_;
  uint64_t random_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Player>> players_ ABSL_GUARDED_BY(mutex_);
  std::vector<Player*> runnable_ ABSL_GUARDED_BY(mutex_);
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::UnixEpoch() + absl::Hours(1);
  uint64_t switches_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

thread_local SeededExecutor::Stage::Player* SeededExecutor::Stage::self_ = nullptr;

class SeededExecutor::StageParker final : public Parker {
 public:
  explicit StageParker(Stage* stage) : stage_(stage) {}
  bool Park(absl::Time deadline) override { return stage_->Park(&permit_, &waiter_, deadline); }
  void Unpark() override { stage_->Unpark(&permit_, &waiter_); }

 private:
  Stage* const stage_;
  bool permit_ = false;     // guarded by the stage
  void* waiter_ = nullptr;  // guarded by the stage
};

class SeededExecutor::StageClock final : public Clock {
 public:
  explicit StageClock(Stage* stage) : stage_(stage) {}
  absl::Time Now() const override { return stage_->Now(); }
  int64_t MonotonicNanos() const override { return absl::ToUnixNanos(stage_->Now()); }
  std::unique_ptr<Parker> NewParker() override { return std::make_unique<StageParker>(stage_); }

 private:
  Stage* const stage_;
};

class SeededExecutor::StageJob final : public BackgroundJob {
 public:
  StageJob(Stage* stage, std::string_view name, std::function<absl::Time()> step)
      : parker_(stage), ended_(stage) {
    stage->Start(std::string(name), [this, step = std::move(step)] {
      while (!stopping_) {
        const absl::Time next = step();
        if (next > absl::InfinitePast()) parker_.Park(next);
      }
      ended_.Unpark();
    });
  }
  ~StageJob() override { Stop(); }

  void Wake() override { parker_.Unpark(); }
  void Stop() override {
    if (std::exchange(stopping_, true)) return;
    parker_.Unpark();
    ended_.Park(absl::InfiniteFuture());
  }

 private:
  StageParker parker_;
  StageParker ended_;
  bool stopping_ = false;  // one thread at a time
};

class SeededExecutor::StageExecutor final : public Executor {
 public:
  explicit StageExecutor(Stage* stage) : stage_(stage) {}
  std::unique_ptr<BackgroundJob> Start(std::string_view name,
                                       std::function<absl::Time()> step) override {
    return std::make_unique<StageJob>(stage_, name, std::move(step));
  }

 private:
  Stage* const stage_;
};

SeededExecutor::SeededExecutor(uint64_t seed)
    : stage_(std::make_unique<Stage>(seed)),
      clock_(std::make_unique<StageClock>(stage_.get())),
      background_(std::make_unique<StageExecutor>(stage_.get())) {}

SeededExecutor::~SeededExecutor() {
  // What was told to end may still be on its way out.
  for (int i = 0; i < 1000; ++i) BetweenTasks();
}

Clock* SeededExecutor::clock() { return clock_.get(); }
Executor* SeededExecutor::background() { return background_.get(); }

void SeededExecutor::Post(std::function<void()> work) { stage_->Start("worker", std::move(work)); }

bool SeededExecutor::PostBlocking(std::function<void()> work) {
  stage_->Start("stand-in", std::move(work));
  return true;
}

void SeededExecutor::BetweenTasks() { stage_->MayYield(); }

uint64_t SeededExecutor::switches() const { return stage_->switches(); }

}  // namespace spillway

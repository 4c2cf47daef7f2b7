#include "store/internal/memory/admission_queue.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "store/internal/memory/memory_budget.h"
#include "store/seams.h"
#include "tests/store/memory/fake_clock.h"

namespace spillway {
namespace {

using Wake = AdmissionQueue::Wake;

class AdmissionQueueTest : public testing::Test {
 protected:
  FakeClock clock_;
  AdmissionQueue queue_{
      AdmissionQueueOptions{.waiters_max = 3, .retry_period = absl::Milliseconds(100)}, &clock_};
  const absl::Time soon_ = clock_.Now() + absl::Seconds(1);
};

TEST_F(AdmissionQueueTest, HeadTriesAtOnceThenAfterEachNotice) {
  EXPECT_TRUE(queue_.empty());
  AdmissionQueue::Ticket ticket(&queue_);
  ASSERT_TRUE(ticket.entered());
  EXPECT_FALSE(queue_.empty());
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  queue_.NotifyRoom();
  queue_.NotifyRoom();
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  std::thread time([&] {
    clock_.AwaitParked(1);
    clock_.Advance(absl::Seconds(1));
  });
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);  // for the last time
  EXPECT_EQ(ticket.Await(soon_), Wake::kDeadline);
  time.join();
}

TEST_F(AdmissionQueueTest, HeadTriesEveryRetryPeriodWithoutNotice) {
  AdmissionQueue::Ticket ticket(&queue_);
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  for (int i = 0; i < 3; ++i) {
    std::thread time([&] {
      clock_.AwaitParked(1);
      clock_.Advance(absl::Milliseconds(100));
    });
    EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
    time.join();
  }
  EXPECT_LT(clock_.Now(), soon_);
}

TEST_F(AdmissionQueueTest, PastItsDeadlineATicketTriesOnceMore) {
  AdmissionQueue::Ticket ticket(&queue_);
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  queue_.NotifyRoom();
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  queue_.NotifyRoom();
  EXPECT_EQ(ticket.Await(soon_), Wake::kDeadline);
}

TEST_F(AdmissionQueueTest, NoticeBeforeTheWaitIsNotLost) {
  AdmissionQueue::Ticket ticket(&queue_);
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  std::thread other([&] {
    clock_.AwaitParked(1);
    queue_.NotifyRoom();
  });
  EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
  other.join();
}

TEST_F(AdmissionQueueTest, OnlyTheHeadTriesAndItsHeirFollows) {
  auto first = std::make_unique<AdmissionQueue::Ticket>(&queue_);
  EXPECT_EQ(first->Await(soon_), Wake::kTryNow);
  std::atomic<int> tries{0};
  std::thread second([&] {
    AdmissionQueue::Ticket ticket(&queue_);
    EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
    ++tries;
  });
  clock_.AwaitParked(1);
  queue_.NotifyRoom();
  EXPECT_EQ(first->Await(soon_), Wake::kTryNow);
  EXPECT_EQ(tries, 0);
  first.reset();
  second.join();
  EXPECT_EQ(tries, 1);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(AdmissionQueueTest, WaitersAreServedInTheOrderInWhichTheyCame) {
  auto head = std::make_unique<AdmissionQueue::Ticket>(&queue_);
  std::vector<int> order;
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      AdmissionQueue::Ticket ticket(&queue_);
      ASSERT_TRUE(ticket.entered());
      EXPECT_EQ(ticket.Await(soon_), Wake::kTryNow);
      EXPECT_EQ(served++, i);
      order.push_back(i);  // the ticket that is held keeps the next one out
    });
    clock_.AwaitParked(i + 1);
  }
  head.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1}));
}

TEST_F(AdmissionQueueTest, TurnsAwayWhoComesToAFullQueue) {
  AdmissionQueue::Ticket a(&queue_), b(&queue_), c(&queue_);
  EXPECT_EQ(queue_.waiters(), 3u);
  {
    AdmissionQueue::Ticket d(&queue_);
    EXPECT_FALSE(d.entered());
  }
  EXPECT_EQ(queue_.waiters(), 3u);
}

TEST_F(AdmissionQueueTest, AWaiterInTheMiddleMayGiveUp) {
  auto head = std::make_unique<AdmissionQueue::Ticket>(&queue_);
  auto middle = std::make_unique<AdmissionQueue::Ticket>(&queue_);
  AdmissionQueue::Ticket tail(&queue_);
  middle.reset();
  head.reset();
  EXPECT_EQ(tail.Await(soon_), Wake::kTryNow);
}

TEST_F(AdmissionQueueTest, ClosingEndsEveryWaitAndTurnsNewcomersAway) {
  AdmissionQueue::Ticket head(&queue_);
  EXPECT_EQ(head.Await(soon_), Wake::kTryNow);
  std::thread second([&] {
    AdmissionQueue::Ticket ticket(&queue_);
    EXPECT_EQ(ticket.Await(absl::InfiniteFuture()), Wake::kClosed);
  });
  clock_.AwaitParked(1);
  queue_.CloseAll();
  queue_.CloseAll();
  second.join();
  EXPECT_EQ(head.Await(soon_), Wake::kClosed);
  AdmissionQueue::Ticket late(&queue_);
  EXPECT_FALSE(late.entered());
}

// Threads that take, keep and give back room as the store does: all of them get on, with real time.
TEST(AdmissionQueueStressTest, NoWakeUpIsLost) {
  AdmissionQueue queue(AdmissionQueueOptions{}, Clock::Real());
  MemoryBudget budget(100);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int i = 0; i < 3000; ++i) {
        const uint64_t bytes = 1 + random() % 100;
        std::optional<Reservation> room;
        if (queue.empty()) room = budget.TryReserve(MemoryUse::kOther, bytes);
        if (!room.has_value()) {
          AdmissionQueue::Ticket ticket(&queue);
          ASSERT_TRUE(ticket.entered());
          while (!room.has_value()) {
            ASSERT_EQ(ticket.Await(absl::InfiniteFuture()), Wake::kTryNow);
            room = budget.TryReserve(MemoryUse::kOther, bytes);
          }
        }
        room.reset();
        queue.NotifyRoom();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(budget.used_bytes(), 0u);
}

}  // namespace
}  // namespace spillway

#include "store/internal/memory/memory_budget.h"

#include <atomic>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway {
namespace {

uint64_t SumOf(const MemorySnapshot& snapshot) {
  return std::accumulate(snapshot.bytes_by_use.begin(), snapshot.bytes_by_use.end(), uint64_t{0});
}

TEST(MemoryBudgetTest, GrantsUpToTheLimitAndNotAByteMore) {
  MemoryBudget budget(1000);
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kArena, 600));
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kEntries, 400));
  EXPECT_FALSE(budget.TryAcquire(MemoryUse::kIndex, 1));
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kIndex, 0));
  EXPECT_EQ(budget.available_bytes(), 0u);
  budget.Release(MemoryUse::kArena, 1);
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kIndex, 1));
  budget.Release(MemoryUse::kArena, 599);
  budget.Release(MemoryUse::kEntries, 400);
  budget.Release(MemoryUse::kIndex, 1);
  EXPECT_EQ(budget.Snapshot().used_bytes, 0u);
  EXPECT_EQ(budget.Snapshot().used_bytes_peak, 1000u);
}

TEST(MemoryBudgetTest, RefusesWhatWouldOverflow) {
  MemoryBudget budget(std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kOther, 10));
  EXPECT_FALSE(budget.TryAcquire(MemoryUse::kOther, std::numeric_limits<uint64_t>::max()));
  budget.Release(MemoryUse::kOther, 10);
}

TEST(MemoryBudgetTest, LoweredLimitGrantsNothingUntilItHolds) {
  MemoryBudget budget(1000);
  ASSERT_TRUE(budget.TryAcquire(MemoryUse::kArena, 900));
  budget.SetLimit(500);
  EXPECT_EQ(budget.excess_bytes(), 400u);
  EXPECT_EQ(budget.available_bytes(), 0u);
  EXPECT_FALSE(budget.TryAcquire(MemoryUse::kArena, 0));
  budget.Release(MemoryUse::kArena, 400);
  EXPECT_EQ(budget.excess_bytes(), 0u);
  EXPECT_FALSE(budget.TryAcquire(MemoryUse::kArena, 1));
  budget.SetLimit(501);
  EXPECT_TRUE(budget.TryAcquire(MemoryUse::kArena, 1));
  budget.Release(MemoryUse::kArena, 501);
}

TEST(MemoryBudgetTest, SaysWhatUsesIt) {
  MemoryBudget budget(1000);
  ASSERT_TRUE(budget.TryAcquire(MemoryUse::kArena, 12));
  ASSERT_TRUE(budget.TryAcquire(MemoryUse::kSpillBuffers, 30));
  EXPECT_EQ(budget.Snapshot().ToString(), "used 42 of 1000 bytes: arena 12, spill_buffers 30");
  EXPECT_EQ(budget.Snapshot().bytes(MemoryUse::kSpillBuffers), 30u);
  budget.Release(MemoryUse::kArena, 12);
  budget.Release(MemoryUse::kSpillBuffers, 30);
  EXPECT_EQ(budget.Snapshot().ToString(), "used 0 of 1000 bytes");
}

TEST(ReservationTest, ReleasesWhenItGoes) {
  MemoryBudget budget(1000);
  {
    std::optional<Reservation> reservation = budget.TryReserve(MemoryUse::kRestoreBuffers, 700);
    ASSERT_TRUE(reservation.has_value());
    EXPECT_EQ(reservation->bytes(), 700u);
    EXPECT_FALSE(budget.TryReserve(MemoryUse::kRestoreBuffers, 301).has_value());
    EXPECT_EQ(budget.used_bytes(), 700u);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(ReservationTest, MovesGrowsShrinksAndSplits) {
  MemoryBudget budget(1000);
  Reservation outer;
  EXPECT_EQ(outer.bytes(), 0u);
  {
    Reservation reservation = *budget.TryReserve(MemoryUse::kRestoreBuffers, 500);
    EXPECT_TRUE(reservation.TryGrow(500));
    EXPECT_FALSE(reservation.TryGrow(1));
    reservation.Shrink(400);
    EXPECT_EQ(budget.used_bytes(), 600u);
    Reservation part = reservation.Split(250);
    EXPECT_EQ(reservation.bytes(), 350u);
    part.Transfer(MemoryUse::kEntries);
    EXPECT_EQ(budget.Snapshot().bytes(MemoryUse::kEntries), 250u);
    EXPECT_EQ(budget.Snapshot().bytes(MemoryUse::kRestoreBuffers), 350u);
    outer = std::move(part);
  }
  EXPECT_EQ(budget.used_bytes(), 250u);
  EXPECT_EQ(outer.use(), MemoryUse::kEntries);
  EXPECT_EQ(outer.Detach(), 250u);
  EXPECT_EQ(outer.bytes(), 0u);
  EXPECT_EQ(budget.used_bytes(), 250u);
  budget.Release(MemoryUse::kEntries, 250);
}

TEST(MemoryBudgetDeathTest, ReleasingMoreThanWasAcquiredIsFatal) {
  MemoryBudget budget(1000);
  ASSERT_TRUE(budget.TryAcquire(MemoryUse::kArena, 10));
  ASSERT_TRUE(budget.TryAcquire(MemoryUse::kEntries, 10));
  EXPECT_DEATH(budget.Release(MemoryUse::kArena, 11), "more than were acquired");
  budget.Release(MemoryUse::kArena, 10);
  budget.Release(MemoryUse::kEntries, 10);
}

TEST(MemoryBudgetTest, SnapshotsOfABusyBudgetSumExactlyAndNeverPassTheLimit) {
  constexpr uint64_t kLimit = 10'000;
  MemoryBudget budget(kLimit);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&budget, t] {
      std::minstd_rand random(t + 1);
      std::vector<Reservation> held;
      for (int i = 0; i < 20'000; ++i) {
        if (held.size() < 20) {
          const MemoryUse use = static_cast<MemoryUse>(random() % kMemoryUseCount);
          std::optional<Reservation> got = budget.TryReserve(use, random() % 1000);
          if (got.has_value()) held.push_back(*std::move(got));
        }
        if (!held.empty() && random() % 2 == 0) {
          std::swap(held[random() % held.size()], held.back());
          held.pop_back();
        }
      }
    });
  }
  std::thread reader([&] {
    while (!done) {
      const MemorySnapshot snapshot = budget.Snapshot();
      ASSERT_EQ(SumOf(snapshot), snapshot.used_bytes);
      ASSERT_LE(snapshot.used_bytes, kLimit);
      ASSERT_LE(snapshot.used_bytes, snapshot.used_bytes_peak);
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  reader.join();
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(SpinLockTest, ExcludesUnderContention) {
  SpinLock lock;
  int64_t count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        SpinLockHolder hold(&lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 80'000);
}

TEST(SpinLockTest, TryLockSaysWhetherItHoldsTheLock) {
  SpinLock lock;
  if (lock.TryLock()) {
    std::thread other([&] {
      const bool locked = lock.TryLock();
      EXPECT_FALSE(locked);
      if (locked) lock.Unlock();
    });
    other.join();
    lock.Unlock();
  } else {
    ADD_FAILURE() << "nobody else holds it";
  }
}

}  // namespace
}  // namespace spillway

#include "store/internal/entry.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace spillway::internal {
namespace {

uint64_t Word(State state, uint64_t refs, uint64_t pins) {
  return StateBits(state) | refs * kRefOne | pins * kPinOne;
}

TEST(EntryTest, ThePartsOfTheWordDoNotOverlap) {
  const uint64_t parts[] = {kPinMask,   kRefMask, kStateMask,   kSpilling,     kRestoring,
                            kUnpinSlow, kExtras,  kOnEvictDrop, kOnEvictNever, kNeededSoon};
  uint64_t seen = 0;
  for (const uint64_t part : parts) {
    EXPECT_EQ(seen & part, 0u);
    seen |= part;
  }
}

TEST(EntryTest, StatesAndCountsComeBackFromTheWord) {
  for (const State state : {State::kFree, State::kPending, State::kBuilding, State::kCold,
                            State::kFailed, State::kDropped, State::kDeleted, State::kClosed,
                            State::kMoving, State::kHot, State::kClean}) {
    const uint64_t word = Word(state, 3, 5) | kSpilling | kNeededSoon;
    EXPECT_EQ(StateOf(word), state);
    EXPECT_EQ(RefsOf(word), 3u);
    EXPECT_EQ(PinsOf(word), 5u);
    EXPECT_EQ(HolderPinsOf(word), 4u);
    EXPECT_EQ(IsResident(word), state == State::kHot || state == State::kClean);
    EXPECT_STRNE(StateName(state), "unknown");
  }
}

TEST(EntryTest, APinHoldsOnlyOnResidentBytes) {
  Entry entry;
  entry.word = Word(State::kHot, 1, 0);
  EXPECT_TRUE(TryPin(&entry));
  EXPECT_EQ(PinsOf(entry.word), 1u);
  Unpin(&entry);
  entry.word = Word(State::kCold, 1, 0);
  EXPECT_FALSE(TryPin(&entry));
  EXPECT_EQ(entry.word, Word(State::kCold, 1, 0));
}

TEST(EntryTest, ARefIsTakenOnlyWhereThereIsOne) {
  Entry entry;
  entry.word = Word(State::kHot, 1, 2);
  EXPECT_TRUE(RefIfNotZero(&entry));
  Unref(&entry);
  EXPECT_EQ(RefsOf(entry.word), 1u);
  entry.word = Word(State::kDeleted, 0, 2);
  EXPECT_FALSE(RefIfNotZero(&entry));
  EXPECT_EQ(entry.word, Word(State::kDeleted, 0, 2));
}

TEST(EntryDeathTest, TooManyRefsAndPinsAreChecked) {
  Entry entry;
  entry.word = Word(State::kHot, 1, kPinOverflow);
  EXPECT_DEATH(TryPin(&entry), "too many pins");
  entry.word = Word(State::kHot, kRefOverflow / kRefOne, 0);
  EXPECT_DEATH(Ref(&entry), "too many refs");
}

// A drop is a compare-and-swap at zero pins: whoever holds a pin sees the bytes as they were.
TEST(EntryTest, PinsVersusClaims) {
  Entry entry;
  entry.word = Word(State::kClean, 1, 0);
  int bytes = 0;  // guarded by the protocol; a sanitizer would tell
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  std::atomic<uint64_t> pinned{0};
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done.load()) {
        if (!TryPin(&entry)) continue;
        EXPECT_EQ(bytes % 2, 0);
        pinned.fetch_add(1);
        Unpin(&entry);
      }
    });
  }
  for (int claims = 0; claims < 2000 || pinned.load() == 0;) {
    uint64_t word = entry.word.load();
    if (PinsOf(word) != 0) continue;
    if (!entry.word.compare_exchange_strong(word, Word(State::kCold, 1, 0))) continue;
    ++bytes;
    ++bytes;
    ++claims;
    uint64_t cold = entry.word.load();
    while (
        !entry.word.compare_exchange_weak(cold, (cold & ~kStateMask) | StateBits(State::kClean))) {
    }
  }
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(entry.word, Word(State::kClean, 1, 0));
}

}  // namespace
}  // namespace spillway::internal

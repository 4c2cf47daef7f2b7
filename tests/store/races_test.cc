// The races that store/STATES.md lists, one by one: each test bears its row's name. Threads are
// brought to the point in question by holding the spill tier and the clock.
#include <atomic>
#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/fault_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;
using Operation = FaultBackend::Operation;
using HoldPoint = FaultBackend::HoldPoint;

#if defined(SPILLWAY_TSAN) || defined(SPILLWAY_ASAN)
constexpr int kRounds = 300;
#else
constexpr int kRounds = 2000;
#endif

// What the harness can tell when everything was given back.
void ExpectEmpty(const HeldStore& held) {
  const StoreStats stats = held.store->Stats();
  EXPECT_EQ(stats.objects, 0u);
  EXPECT_EQ(stats.memory.payload_bytes, 0u);
  EXPECT_EQ(stats.pinned_objects, 0u);
  EXPECT_EQ(held.records_on_disk(), 0u);
}

TEST(RacesTest, GetWhileSpilling) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(4 << 20, 1);
  auto ref = held.store->Put(bytes).value();
  held.faults->Hold(Operation::kWrite);
  std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  // Served from the resident bytes, which no one can drop under the writer's pin.
  EXPECT_EQ(*ref.Get().value(), bytes);
  EXPECT_EQ(held.store->Metadata(ref.id())->pins, 0u);
  EXPECT_FALSE(held.Squeeze());
  EXPECT_EQ(held.State(ref.id()), "Hot");
  // A pin does not delay the write, only the drop after it.
  auto view = ref.Get().value();
  held.faults->LetGo(Operation::kWrite);
  flush.join();
  EXPECT_EQ(held.State(ref.id()), "Clean");
  EXPECT_FALSE(held.Squeeze());
  EXPECT_EQ(held.State(ref.id()), "Clean");
  EXPECT_EQ(*view, bytes);
  view = {};
  held.MakeCold(ref.id());
  EXPECT_EQ(held.faults->operations(Operation::kRead), 0u);
}

TEST(RacesTest, GetVersusDrop) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(4 << 20, 2);
  auto ref = held.store->Put(bytes).value();
  ASSERT_TRUE(held.store->Flush().ok());
  std::barrier<> together(2);
  int squeezed = 0;
  std::thread dropper([&] {
    for (int i = 0; i < kRounds / 10; ++i) {
      together.arrive_and_wait();
      squeezed += held.Squeeze() ? 1 : 0;
      together.arrive_and_wait();
    }
  });
  for (int i = 0; i < kRounds / 10; ++i) {
    together.arrive_and_wait();
    {
      // Pinned before the drop, or restored after it: never refused, never another's bytes.
      auto view = ref.Get();
      ASSERT_TRUE(view.ok()) << view.status();
      ASSERT_EQ(**view, bytes);
    }
    together.arrive_and_wait();
  }
  dropper.join();
  const StoreStats stats = held.store->Stats();
  EXPECT_EQ(stats.hits + stats.misses, static_cast<uint64_t>(kRounds / 10));
  EXPECT_EQ(stats.restores, stats.misses);
  EXPECT_EQ(stats.dropped_clean - stats.restores, held.State(ref.id()) == "Cold" ? 1u : 0u);
  EXPECT_EQ(stats.spills, 1u);  // it stays on disk, however often it is dropped
  ref = {};
  ExpectEmpty(held);
}

TEST(RacesTest, GetVersusGetOnCold) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 3);
  auto ref = held.PutCold(bytes);
  const absl::Status failure = absl::InternalError("planted");
  for (const bool fails : {true, false}) {
    if (fails) held.faults->FailNth(Operation::kRead, 1, failure);
    const uint64_t reads = held.faults->operations(Operation::kRead);
    held.faults->Hold(Operation::kRead);
    std::vector<std::thread> readers;
    const auto read = [&] {
      auto view = ref.Get();
      EXPECT_EQ(view.status(), fails ? failure : absl::OkStatus());
      if (view.ok()) {
        EXPECT_EQ(**view, bytes);
      }
    };
    readers.emplace_back(read);
    held.faults->WaitUntilHeld(Operation::kRead, 1);
    for (int i = 0; i < 3; ++i) readers.emplace_back(read);
    held.AwaitWaiting(3);
    held.faults->LetGo(Operation::kRead);
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(held.faults->operations(Operation::kRead), reads + 1);
    EXPECT_EQ(held.State(ref.id()), fails ? "Cold" : "Clean");
  }
  EXPECT_EQ(held.store->Stats().restores, 1u);
}

TEST(RacesTest, LookupByIdVersusLastRefGoing) {
  HeldStore held;
  std::barrier<> together(2);
  std::atomic<uint64_t> id{0};
  int found = 0;
  std::thread finder([&] {
    for (int i = 0; i < kRounds; ++i) {
      together.arrive_and_wait();
      {
        auto ref = held.store->Ref<int>(ObjectId{id.load()});
        if (ref.ok()) {
          ++found;
          EXPECT_EQ(*ref->Get().value(), i);
        } else {
          EXPECT_EQ(ref.status().code(), absl::StatusCode::kNotFound);
        }
      }
      together.arrive_and_wait();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    auto ref = held.store->Put(i).value();
    id.store(ref.id().value);
    together.arrive_and_wait();
    ref = {};
    together.arrive_and_wait();
    EXPECT_FALSE(held.store->Exists(ObjectId{id.load()}));
  }
  finder.join();
  EXPECT_LE(found, kRounds);
  EXPECT_EQ(held.store->Stats().deletes, static_cast<uint64_t>(kRounds));
  ExpectEmpty(held);
}

TEST(RacesTest, DeleteWhileSpilling) {
  for (const HoldPoint point : {HoldPoint::kBegin, HoldPoint::kCompletion}) {
    HeldStore held;
    auto ref = held.store->Put(BytesOfSeed(100000, 4)).value();
    held.faults->Hold(Operation::kWrite, point);
    std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
    held.faults->WaitUntilHeld(Operation::kWrite, 1);
    ASSERT_TRUE(held.store->Delete(ref.id()).ok());
    EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kNotFound);
    // The writer still reads the bytes.
    EXPECT_EQ(held.store->Stats().memory.payload_bytes, ref.size_bytes());
    held.faults->LetGo(Operation::kWrite);
    flush.join();
    EXPECT_EQ(held.records_on_disk(), 0u);
    EXPECT_EQ(held.store->Stats().memory.payload_bytes, 0u);
    ref = {};
    ExpectEmpty(held);
  }
}

TEST(RacesTest, LastRefGoneWhileSpilling) {
  HeldStore held;
  auto ref = held.store->Put(BytesOfSeed(100000, 5)).value();
  held.faults->Hold(Operation::kWrite, HoldPoint::kCompletion);
  std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  ref = {};
  EXPECT_EQ(held.store->Stats().objects, 1u);  // the writer's
  held.faults->LetGo(Operation::kWrite);
  flush.join();
  ExpectEmpty(held);
}

TEST(RacesTest, DeleteWhileRestoring) {
  for (const HoldPoint point : {HoldPoint::kBegin, HoldPoint::kCompletion}) {
    HeldStore held;
    auto ref = held.PutCold(BytesOfSeed(100000, 6));
    held.faults->Hold(Operation::kRead, point);
    const auto read = [&] { EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kNotFound); };
    std::thread reader(read);
    held.faults->WaitUntilHeld(Operation::kRead, 1);
    std::thread joined(read);
    held.AwaitWaiting(1);
    ASSERT_TRUE(held.store->Delete(ref.id()).ok());
    EXPECT_FALSE(held.store->Exists(ref.id()));
    held.faults->LetGo(Operation::kRead);
    reader.join();
    joined.join();
    EXPECT_EQ(held.store->Stats().restores, 0u);
    EXPECT_EQ(held.store->Stats().memory.payload_bytes, 0u);
    ref = {};
    ExpectEmpty(held);
  }
}

TEST(RacesTest, DeleteWhilePinned) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 7);
  auto ref = held.store->Put(bytes).value();
  ASSERT_TRUE(held.store->Flush().ok());
  auto first = ref.Get().value();
  auto second = ref.Get().value();
  ASSERT_TRUE(held.store->Delete(ref.id()).ok());
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(held.records_on_disk(), 0u);
  ref = {};
  first = {};
  // Valid and charged until the last unpin.
  EXPECT_EQ(*second, bytes);
  EXPECT_EQ(held.store->Stats().memory.payload_bytes, second.raw().size());
  second = {};
  ExpectEmpty(held);
}

// The ticket of the only record on disk.
SpillTicket OnlyTicket(FaultBackend* backend) {
  const std::vector<SpillTicket> tickets = backend->LiveTickets();
  EXPECT_EQ(tickets.size(), 1u);
  return tickets.at(0);
}

TEST(RacesTest, RelocationVersusRestore) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 8);
  auto ref = held.PutCold(bytes);
  held.faults->Hold(Operation::kRead);
  std::thread reader([&] { EXPECT_EQ(*ref.Get().value(), bytes); });
  held.faults->WaitUntilHeld(Operation::kRead, 1);
  // The read has its ticket, and finds nothing there any more: it follows the record.
  EXPECT_TRUE(held.faults->Relocate(OnlyTicket(held.faults)).value());
  EXPECT_TRUE(held.faults->Relocate(OnlyTicket(held.faults)).value());
  held.faults->LetGo(Operation::kRead);
  reader.join();
  EXPECT_EQ(held.records_on_disk(), 1u);
  held.MakeCold(ref.id());
  EXPECT_EQ(*ref.Get().value(), bytes);
  EXPECT_EQ(held.store->Stats().restore_failures, 0u);
  ref = {};
  ExpectEmpty(held);
}

TEST(RacesTest, RelocationBeforeTheStoreKnowsTheTicket) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 9);
  auto ref = held.store->Put(bytes).value();
  held.faults->Hold(Operation::kWrite, HoldPoint::kCompletion);
  std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  // The copy is refused, and the record that the write is about to return stays.
  EXPECT_FALSE(held.faults->Relocate(OnlyTicket(held.faults)).value());
  held.faults->LetGo(Operation::kWrite);
  flush.join();
  held.MakeCold(ref.id());
  EXPECT_EQ(*ref.Get().value(), bytes);
  // Of a deleted object nothing moves.
  const SpillTicket ticket = OnlyTicket(held.faults);
  ASSERT_TRUE(held.store->Delete(ref.id()).ok());
  EXPECT_EQ(held.faults->Relocate(ticket).status().code(), absl::StatusCode::kNotFound);
  ref = {};
  ExpectEmpty(held);
}

class SpillFailsTest : public testing::TestWithParam<absl::Status> {};

TEST_P(SpillFailsTest, StaysHotBacksOffAndRefusesPutsThatCannotWaitLonger) {
  HeldStore held;
  held.faults->FailAll(Operation::kWrite, GetParam());
  std::vector<ObjectRef<std::string>> refs;
  PutOptions at_once;
  at_once.wait_for_room_max = absl::ZeroDuration();
  for (;;) {
    auto ref = held.store->Put(BytesOfSeed(1 << 20, refs.size()), at_once);
    if (!ref.ok()) break;
    refs.push_back(*std::move(ref));
  }
  held.AwaitWaiting(0);
  // Backpressure: the next put waits as long as it may, while writes are tried ever more rarely.
  constexpr absl::Duration kTick = absl::Milliseconds(20);
  const uint64_t writes = held.faults->operations(Operation::kWrite);
  std::thread put([&] {
    const absl::Status status = held.store->Put(BytesOfSeed(1 << 20, 100)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("spilling fails"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(GetParam().message())));
  });
  for (absl::Duration t; t < absl::Seconds(10); t += kTick) {
    held.AwaitWaiting(1);
    held.clock.Advance(kTick);
  }
  put.join();
  held.AwaitWaiting(0);
  const uint64_t tries = held.faults->operations(Operation::kWrite) - writes;
  EXPECT_GE(tries, 8u);
  EXPECT_LE(tries, 40u);
  for (size_t i = 0; i < refs.size(); ++i) {
    EXPECT_EQ(held.State(refs[i].id()), "Hot");
    EXPECT_EQ(*refs[i].Get().value(), BytesOfSeed(1 << 20, i));
  }
  EXPECT_GT(held.store->Stats().spill_failures, 0u);
  EXPECT_EQ(held.store->Flush().code(), GetParam().code());
  // And it recovers by itself, within the longest backoff.
  held.faults->FailAll(Operation::kWrite, absl::OkStatus());
  std::thread later([&] { EXPECT_TRUE(held.store->Put(BytesOfSeed(1 << 20, 100)).ok()); });
  held.AwaitWaiting(1);
  held.clock.Advance(absl::Seconds(1));
  later.join();
  EXPECT_TRUE(held.store->Flush().ok());
  refs.clear();
  ExpectEmpty(held);
}

INSTANTIATE_TEST_SUITE_P(RacesTest, SpillFailsTest,
                         testing::Values(absl::ResourceExhaustedError("the disk is full"),
                                         absl::InternalError("an I/O error")));

TEST(RacesTest, OneObjectFailsToSpill) {
  HeldStore held;
  auto good = held.store->Put(BytesOfSeed(1000, 1)).value();
  auto bad = held.store->Put(BytesOfSeed(1000, 2)).value();
  held.faults->FailWritesOf(bad.id().value, absl::InternalError("planted"));
  EXPECT_EQ(held.store->Flush().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(held.State(good.id()), "Clean");
  EXPECT_EQ(held.State(bad.id()), "Hot");
  held.faults->FailWritesOf(bad.id().value, absl::OkStatus());
  EXPECT_TRUE(held.store->Flush().ok());
  EXPECT_EQ(held.State(bad.id()), "Clean");
}

TEST(RacesTest, RestoreFails) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 10);
  auto ref = held.PutCold(bytes);
  auto other = held.PutCold(BytesOfSeed(100000, 11));
  held.faults->FailNth(Operation::kRead, 1, absl::InternalError("an I/O error"));
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(held.State(ref.id()), "Cold");
  held.faults->HarmNthRead(1, FaultBackend::ReadFault::kDataLoss);
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(held.State(ref.id()), "Cold");
  EXPECT_EQ(held.store->Stats().restore_failures, 2u);
  EXPECT_EQ(held.store->Stats().memory.payload_bytes, 0u);
  // Nothing else is affected, and another try may do.
  EXPECT_EQ(*other.Get().value(), BytesOfSeed(100000, 11));
  EXPECT_EQ(*ref.Get().value(), bytes);
  // Many at once fail one by one.
  held.MakeCold(ref.id());
  held.MakeCold(other.id());
  held.faults->Damage(ref.id().value);
  const std::vector<ObjectRef<std::string>> both = {ref, other};
  const auto views = held.store->GetMany<std::string>(both);
  EXPECT_EQ(views[0].status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(views[1].ok());
}

TEST(RacesTest, DiskCopyLostWhileClean) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(100000, 31);
  ObjectRef<std::string> ref = held.store->Put(bytes).value();
  ASSERT_TRUE(held.store->Flush().ok());
  ASSERT_EQ(held.State(ref.id()), "Clean");
  EXPECT_TRUE(held.faults->ReportDamage(OnlyTicket(held.faults)));
  EXPECT_EQ(held.State(ref.id()), "Hot");
  EXPECT_EQ(held.records_on_disk(), 0u);
  // It is written anew before its memory goes.
  held.MakeCold(ref.id());
  EXPECT_EQ(held.records_on_disk(), 1u);
  // Without the bytes in memory the store needs the record, for what can still be said of it.
  EXPECT_FALSE(held.faults->ReportDamage(OnlyTicket(held.faults)));
  EXPECT_EQ(*ref.Get().value(), bytes);
  ref = {};
  ExpectEmpty(held);
}

TEST(RacesTest, ARecordThatTheSpillTierDoesNotKnowIsLostNotDeleted) {
  HeldStore held;
  auto ref = held.PutCold(BytesOfSeed(100000, 12));
  static_cast<SpillBackend*>(held.faults)->Release(OnlyTicket(held.faults));
  EXPECT_EQ(ref.Get().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(held.State(ref.id()), "Cold");
}

TEST(RacesTest, NoRoomForAPut) {
  HeldStore held;
  held.FillWithPinned();
  const auto put = [&] { return held.store->Put(BytesOfSeed(1 << 20, 50)).status(); };
  std::thread refused([&] {
    const absl::Status status = put();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(
        std::string(status.message()),
        HasSubstr(absl::StrFormat("largest pinned: object %016x", held.pinned_refs[0].id().value)));
  });
  held.AwaitWaiting(1);
  held.clock.Advance(absl::Seconds(10));
  refused.join();
  // An unpin ends the wait, without any time passing.
  ObjectRef<std::string> late;
  ObjectView<std::string> late_view;
  std::thread waits([&] {
    late = held.store->Put(BytesOfSeed(1 << 20, 51)).value();
    late_view = late.Get().value();
  });
  held.AwaitWaiting(1);
  held.pinned.pop_back();
  waits.join();
  // And so does the end of an object.
  std::thread waits_again([&] { EXPECT_TRUE(put().ok()); });
  held.AwaitWaiting(1);
  ASSERT_TRUE(held.store->Delete(held.pinned_refs[0].id()).ok());
  held.pinned.erase(held.pinned.begin());
  waits_again.join();
}

TEST(RacesTest, NoRoomForARestore) {
  HeldStore held;
  const std::string bytes = BytesOfSeed(1 << 20, 60);
  auto ref = held.PutCold(bytes);
  held.FillWithPinned();
  std::thread refused([&] {
    const absl::Status status = ref.Get().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("largest pinned: object "));
  });
  held.AwaitWaiting(1);
  held.clock.Advance(absl::Seconds(10));
  refused.join();
  EXPECT_EQ(held.State(ref.id()), "Cold");
  std::thread waits([&] { EXPECT_EQ(*ref.Get().value(), bytes); });
  held.AwaitWaiting(1);
  held.pinned.pop_back();
  waits.join();
}

}  // namespace
}  // namespace spillway

// The races of store/STATES.md about objects that outlive the process, one by one: each test bears
// its row's name.
#include <atomic>
#include <barrier>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/fault_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Operation = FaultBackend::Operation;
using HoldPoint = FaultBackend::HoldPoint;

#if defined(SPILLWAY_TSAN) || defined(SPILLWAY_ASAN)
constexpr int kRounds = 200;
#else
constexpr int kRounds = 2000;
#endif

struct DurableHeldStore : HeldStore {
  DurableHeldStore() : HeldStore(SpillTier::kMemory, SpillRecovery::kKeep) {}

  absl::StatusOr<ObjectRef<std::string>> PutNamed(const std::string& bytes, absl::string_view name,
                                                  bool replace = false) {
    PutOptions options;
    options.name = name;
    options.replace = replace;
    return store->Put(bytes, options);
  }
  std::vector<std::string> NamesOf(ObjectId id) const { return store->Metadata(id)->names; }
};

TEST(DurableRacesTest, PersistWhileSpilling) {
  DurableHeldStore held;
  const std::string bytes = BytesOfSeed(100000, 1);
  // What is being written is not durable, and cannot become so: a second record takes its place,
  // whichever of the two is there first.
  for (int round = 0; round < 16; ++round) {
    auto ref = held.store->Put(bytes).value();
    held.faults->Hold(Operation::kWrite);
    std::thread flush([&] { EXPECT_TRUE(held.store->Flush().ok()); });
    held.faults->WaitUntilHeld(Operation::kWrite, 1);
    std::thread persist([&] { EXPECT_TRUE(ref.Persist().ok()); });
    held.faults->WaitUntilHeld(Operation::kWrite, 2);
    EXPECT_EQ(held.State(ref.id()), "Hot");
    EXPECT_FALSE(held.store->Metadata(ref.id())->durable);
    held.faults->LetGo(Operation::kWrite);
    persist.join();
    flush.join();
    EXPECT_TRUE(held.store->Metadata(ref.id())->durable);
    EXPECT_EQ(held.records_on_disk(), 1u);
    held.MakeCold(ref.id());
    EXPECT_EQ(*ref.Get().value(), bytes);
    ASSERT_TRUE(held.store->Delete(ref.id()).ok());
    EXPECT_EQ(held.records_on_disk(), 0u);
  }
}

TEST(DurableRacesTest, OneWriteServesPersistAndSpill) {
  DurableHeldStore held;
  const std::string bytes = BytesOfSeed(100000, 1);
  auto ref = held.store->Put(bytes).value();
  held.faults->Hold(Operation::kWrite);
  std::thread persist([&] { EXPECT_TRUE(ref.Persist().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  std::atomic<bool> flushed{false};
  std::thread flush([&] {
    EXPECT_TRUE(held.store->Flush().ok());
    flushed.store(true);
  });
  held.AwaitWaiting(1);  // for the write that is under way
  EXPECT_FALSE(flushed.load());
  EXPECT_EQ(held.store->Metadata(ref.id())->pins, 0u);
  held.faults->LetGo(Operation::kWrite);
  persist.join();
  flush.join();
  EXPECT_EQ(held.faults->operations(Operation::kWrite), 1u);
  EXPECT_EQ(held.State(ref.id()), "Clean");
  held.MakeCold(ref.id());
  EXPECT_EQ(*ref.Get().value(), bytes);
}

TEST(DurableRacesTest, PersistVersusDrop) {
  DurableHeldStore held;
  const std::string bytes = BytesOfSeed(100000, 1);
  auto ref = held.store->Put(bytes).value();
  ASSERT_TRUE(held.store->Flush().ok());
  held.faults->Hold(Operation::kWrite);
  std::thread persist([&] { EXPECT_TRUE(ref.Persist().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  EXPECT_FALSE(held.Squeeze() && held.State(ref.id()) == "Cold");
  EXPECT_EQ(held.State(ref.id()), "Clean");
  held.faults->LetGo(Operation::kWrite);
  persist.join();
  EXPECT_EQ(held.records_on_disk(), 1u);  // the one that was not durable has gone
  held.MakeCold(ref.id());
  EXPECT_EQ(*ref.Get().value(), bytes);
  // A cold one is restored for it.
  auto cold = held.PutCold(bytes);
  ASSERT_TRUE(cold.Persist().ok());
  EXPECT_EQ(held.State(cold.id()), "Clean");
  EXPECT_EQ(held.records_on_disk(), 2u);
}

TEST(DurableRacesTest, PersistVersusPersist) {
  DurableHeldStore held;
  auto ref = held.store->Put(std::string("x")).value();
  held.faults->Hold(Operation::kWrite);
  std::vector<std::thread> threads;
  threads.emplace_back([&] { EXPECT_TRUE(ref.Persist().ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { EXPECT_TRUE(ref.Persist().ok()); });
  held.AwaitWaiting(3);  // nobody is told OK before it is true
  held.faults->LetGo(Operation::kWrite);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held.faults->operations(Operation::kWrite), 1u);
}

TEST(DurableRacesTest, PersistVersusDelete) {
  DurableHeldStore held;
  for (const bool fails : {false, true}) {
    auto ref = held.store->Put(std::string("x")).value();
    const ObjectId id = ref.id();
    held.faults->Hold(Operation::kWrite);
    const absl::Status failure = absl::InternalError("planted");
    if (fails) held.faults->FailNth(Operation::kWrite, 1, failure);
    std::thread persist([&] { EXPECT_EQ(ref.Persist(), fails ? failure : absl::OkStatus()); });
    held.faults->WaitUntilHeld(Operation::kWrite, 1);
    std::thread remove([&] { EXPECT_TRUE(held.store->Delete(id).ok()); });
    held.AwaitWaiting(1);  // a record that is being written cannot be ended yet
    held.faults->LetGo(Operation::kWrite);
    persist.join();
    remove.join();
    EXPECT_TRUE(absl::IsNotFound(ref.Get().status()));
    EXPECT_TRUE(absl::IsNotFound(held.store->Ref(id).status()));
    EXPECT_EQ(held.records_on_disk(), 0u);
  }
}

TEST(DurableRacesTest, DeleteVersusPersist) {
  DurableHeldStore held;
  auto ref = held.PutNamed("x", "n").value();
  held.faults->Hold(Operation::kCommit);
  std::thread remove([&] { EXPECT_TRUE(held.store->Delete(ref.id()).ok()); });
  held.faults->WaitUntilHeld(Operation::kCommit, 1);
  // Deleted for everybody who has a ref, and not found anew while its record is still there.
  EXPECT_TRUE(absl::IsNotFound(ref.Get().status()));
  std::vector<std::thread> threads;
  threads.emplace_back([&] { EXPECT_TRUE(absl::IsNotFound(ref.Persist())); });
  threads.emplace_back([&] { EXPECT_TRUE(absl::IsNotFound(held.store->Ref(ref.id()).status())); });
  threads.emplace_back([&] { EXPECT_TRUE(absl::IsNotFound(held.store->Find("n").status())); });
  threads.emplace_back([&] { EXPECT_TRUE(absl::IsNotFound(held.store->Unbind("n"))); });
  held.AwaitWaiting(4);
  held.faults->LetGo(Operation::kCommit);
  for (std::thread& thread : threads) thread.join();
  remove.join();
  EXPECT_EQ(held.records_on_disk(), 0u);
}

TEST(DurableRacesTest, ReplaceVersusFind) {
  DurableHeldStore held;
  ASSERT_TRUE(held.PutNamed("0", "n").ok());
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      int newest = 0;
      while (!done.load()) {
        auto ref = held.store->Find<std::string>("n");
        ASSERT_TRUE(ref.ok()) << ref.status();
        auto value = ref->Read();
        ASSERT_TRUE(value.ok()) << value.status();
        int number = -1;
        ASSERT_TRUE(absl::SimpleAtoi(*value, &number));
        ASSERT_GE(number, newest);  // never back to an older one
        newest = number;
      }
    });
  }
  for (int i = 1; i < kRounds; ++i) ASSERT_TRUE(held.PutNamed(absl::StrCat(i), "n", true).ok());
  done.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(held.records_on_disk(), 1u);
  EXPECT_EQ(held.store->Stats().objects, 0u);
}

TEST(DurableRacesTest, ReplaceVersusReplace) {
  DurableHeldStore held;
  auto first = held.PutNamed("first", "n").value();
  held.faults->Hold(Operation::kWrite);
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&, i] { EXPECT_TRUE(held.PutNamed(absl::StrCat(i), "n", true).ok()); });
  }
  held.AwaitWaiting(2);
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  EXPECT_EQ(held.faults->held(Operation::kWrite), 1u);  // one after the other
  EXPECT_EQ(held.store->Find("n")->id(), first.id());
  held.faults->LetGo(Operation::kWrite);
  for (std::thread& writer : writers) writer.join();
  EXPECT_NE(held.store->Find("n")->id(), first.id());
  EXPECT_EQ(first.Read().value(), "first");
  EXPECT_EQ(held.records_on_disk(), 2u);
  first = {};
  EXPECT_EQ(held.records_on_disk(), 1u);
}

TEST(DurableRacesTest, PutVersusPutOfOneName) {
  DurableHeldStore held;
  std::atomic<int> stored{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      const absl::Status status = held.PutNamed("x", "n").status();
      if (status.ok()) {
        ++stored;
      } else {
        EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(stored.load(), 1);
  EXPECT_EQ(held.store->Stats().objects, 0u);  // what was refused is not there
  EXPECT_EQ(held.records_on_disk(), 1u);
}

TEST(DurableRacesTest, UnbindVersusLastRefGoing) {
  DurableHeldStore held;
  std::barrier<> together(2);
  ObjectRef<std::string> ref;
  std::thread dropper([&] {
    for (int i = 0; i < kRounds; ++i) {
      together.arrive_and_wait();
      ref = {};
      together.arrive_and_wait();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ref = held.PutNamed("x", "n").value();
    together.arrive_and_wait();
    ASSERT_TRUE(held.store->Unbind("n").ok());
    together.arrive_and_wait();
    ASSERT_EQ(held.records_on_disk(), 0u);  // whoever is last ends it
    ASSERT_EQ(held.store->Stats().objects, 0u);
  }
  dropper.join();
}

TEST(DurableRacesTest, UnbindVersusFind) {
  DurableHeldStore held;
  std::barrier<> together(2);
  std::thread finder([&] {
    for (int i = 0; i < kRounds; ++i) {
      together.arrive_and_wait();
      {
        auto ref = held.store->Find<std::string>("n");
        if (ref.ok()) {
          ASSERT_EQ(ref->Read().value(), "x");  // a ref that was had is good
        } else {
          ASSERT_TRUE(absl::IsNotFound(ref.status())) << ref.status();
        }
      }
      together.arrive_and_wait();
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(held.PutNamed("x", "n").ok());
    together.arrive_and_wait();
    ASSERT_TRUE(held.store->Unbind("n").ok());
    together.arrive_and_wait();
    ASSERT_EQ(held.records_on_disk(), 0u);
  }
  finder.join();
}

TEST(DurableRacesTest, LookupOfADurableObjectVersusLastRefGoing) {
  DurableHeldStore held;
  const ObjectId id = held.PutNamed("x", "n")->id();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        if (t == 0) {
          auto view = held.store->Get<std::string>(id);
          ASSERT_TRUE(view.ok()) << view.status();
          ASSERT_EQ(**view, "x");
        } else {
          auto ref = held.store->Ref(id);
          ASSERT_TRUE(ref.ok()) << ref.status();  // its entry goes and comes, it does not
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held.store->Stats().objects, 0u);
  EXPECT_EQ(held.records_on_disk(), 1u);
}

TEST(DurableRacesTest, RelocationOfADurableRecordVersusEntries) {
  DurableHeldStore held;
  const std::string bytes = BytesOfSeed(100000, 1);
  // Without an entry: the spill tier's record moves, and is found where it is.
  const ObjectId id = held.PutNamed(bytes, "n")->id();
  const auto relocate_all = [&] {
    for (const SpillTicket ticket : held.faults->LiveTickets()) {
      EXPECT_EQ(held.faults->Relocate(ticket).value(), true);
    }
  };
  relocate_all();
  ASSERT_EQ(held.records_on_disk(), 1u);
  auto ref = held.store->Find<std::string>("n").value();
  relocate_all();  // with an entry that has not read it yet
  EXPECT_EQ(*ref.Get().value(), bytes);
  // While it is being written.
  held.faults->Hold(Operation::kWrite, HoldPoint::kCompletion);
  ObjectRef<std::string> second;
  std::thread put([&] { second = held.PutNamed(bytes, "m").value(); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  const SpillTicket ticket = held.faults->LiveTickets().back();
  std::thread move([&] { EXPECT_EQ(held.faults->Relocate(ticket).value(), true); });
  move.join();
  held.faults->LetGo(Operation::kWrite);
  put.join();
  held.MakeCold(second.id());
  EXPECT_EQ(*second.Get().value(), bytes);
  ASSERT_TRUE(held.store->Delete(second.id()).ok());
  ASSERT_TRUE(held.store->Delete(id).ok());
  EXPECT_EQ(held.records_on_disk(), 0u);
}

TEST(DurableRacesTest, ADurablePutThatCannotBeWrittenLeavesNothing) {
  DurableHeldStore held;
  const absl::Status failure = absl::InternalError("planted");
  for (const bool keep : {false, true}) {
    held.faults->FailNth(Operation::kWrite, 1, failure);
    PutOptions options;
    options.name = "n";
    options.keep = keep;
    EXPECT_EQ(held.store->Put(std::string("x"), options).status(), failure);
    EXPECT_TRUE(absl::IsNotFound(held.store->Find("n").status()));
    EXPECT_EQ(held.store->Stats().objects, 0u);
    EXPECT_EQ(held.records_on_disk(), 0u);
  }
  // What was there before stays: a name's old object, and an object that cannot become durable.
  auto old = held.PutNamed("old", "n").value();
  held.faults->FailNth(Operation::kWrite, 1, failure);
  EXPECT_EQ(held.PutNamed("new", "n", true).status(), failure);
  EXPECT_EQ(held.store->Find<std::string>("n")->Read().value(), "old");
  EXPECT_TRUE(held.store->Metadata(old.id())->durable);
  auto ref = held.store->Put(std::string("x")).value();
  held.faults->FailNth(Operation::kWrite, 1, failure);
  EXPECT_EQ(ref.Persist(), failure);
  EXPECT_EQ(ref.Read().value(), "x");
  EXPECT_FALSE(held.store->Metadata(ref.id())->durable);
  // Nor do names and objects go if that cannot be written.
  held.faults->FailNth(Operation::kCommit, 1, failure);
  EXPECT_EQ(held.store->Unbind("n"), failure);
  EXPECT_THAT(held.NamesOf(old.id()), ElementsAre("n"));
  held.faults->FailNth(Operation::kCommit, 1, failure);
  EXPECT_EQ(held.store->Delete(old.id()), failure);
  EXPECT_EQ(held.store->Find<std::string>("n")->Read().value(), "old");
  ASSERT_TRUE(held.store->Delete(old.id()).ok());
  EXPECT_TRUE(absl::IsNotFound(held.store->Find("n").status()));
}

TEST(DurableRacesTest, AFullDiskIsWaitedForAndNamed) {
  DurableHeldStore held;
  held.faults->SetCapacity(0);
  absl::Status refused;
  std::thread put([&] { refused = held.PutNamed(std::string(1000, 'x'), "n").status(); });
  held.AwaitWaiting(1);
  // Space comes back: the put goes on by itself.
  held.faults->SetCapacity(1 << 20);
  held.clock.Advance(absl::Seconds(2));
  put.join();
  EXPECT_TRUE(refused.ok()) << refused;
  held.faults->SetCapacity(0);
  std::thread late([&] { refused = held.PutNamed(std::string(1000, 'x'), "m").status(); });
  held.AwaitWaiting(1);
  held.clock.Advance(absl::Seconds(20));
  late.join();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("the disk is full"));
  EXPECT_EQ(held.store->Find<std::string>("n")->Read().value(), std::string(1000, 'x'));
  EXPECT_TRUE(absl::IsNotFound(held.store->Find("m").status()));
}

TEST(DurableRacesTest, WhoWaitsTooLongForAChangeIsToldOfIt) {
  DurableHeldStore held;
  held.faults->Hold(Operation::kWrite);
  std::thread first([&] { EXPECT_TRUE(held.PutNamed("1", "n").ok()); });
  held.faults->WaitUntilHeld(Operation::kWrite, 1);
  absl::Status late;
  std::thread second([&] { late = held.PutNamed("2", "n", true).status(); });
  held.AwaitWaiting(1);
  held.clock.Advance(absl::Seconds(61));
  second.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_THAT(late.message(), HasSubstr("the name n"));
  held.faults->LetGo(Operation::kWrite);
  first.join();
  EXPECT_EQ(held.store->Find<std::string>("n")->Read().value(), "1");
}

TEST(DurableRacesTest, ALostValueThatIsMadeAnewIsDurableAgain) {
  DurableHeldStore held;
  const ObjectId id = held.PutNamed("x", "n")->id();
  auto ref = held.store->Find<std::string>("n").value();
  held.faults->FailNth(Operation::kRead, 1, absl::DataLossError("planted"));
  ref.any().OnLoss([](const absl::Status&, AnyPromise promise) {
    EXPECT_TRUE(std::move(promise).As<std::string>()->Set(std::string("x")).ok());
  });
  EXPECT_EQ(ref.Read().value(), "x");
  EXPECT_TRUE(held.store->Metadata(id)->durable);
  EXPECT_EQ(held.records_on_disk(), 1u);
  EXPECT_THAT(held.NamesOf(id), ElementsAre("n"));
}

}  // namespace
}  // namespace spillway

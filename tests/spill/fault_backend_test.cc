#include "spill/fault_backend.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "spill/memory_backend.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::TypeOf;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;
using Operation = FaultBackend::Operation;

class Listener final : public RelocationListener {
 public:
  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override {
    id = object_id;
    old_ticket = from;
    new_ticket = to;
    return accept;
  }
  bool accept = true;
  uint64_t id = 0;
  SpillTicket old_ticket = kNoTicket;
  SpillTicket new_ticket = kNoTicket;
};

class FaultBackendTest : public ::testing::Test {
 protected:
  absl::Status TryWrite(uint64_t object_id, const std::string& payload) {
    SpillRecord record;
    record.object_id = object_id;
    record.type = TypeOf(object_id);
    record.payload = payload;
    std::vector<SpillResult> results;
    backend_.Write({&record, 1}, &results);
    return results.at(0).status;
  }

  FaultBackend backend_{NewMemoryBackend()};
};

TEST_F(FaultBackendTest, TheNthCallFailsAndNoOther) {
  backend_.FailNth(Operation::kWrite, 2, absl::InternalError("planted"));
  EXPECT_EQ(TryWrite(1, "a"), absl::OkStatus());
  EXPECT_EQ(TryWrite(2, "b"), absl::InternalError("planted"));
  EXPECT_EQ(backend_.Health(), absl::InternalError("planted"));
  EXPECT_EQ(TryWrite(3, "c"), absl::OkStatus());
  EXPECT_EQ(backend_.Health(), absl::OkStatus());
  EXPECT_EQ(backend_.operations(Operation::kWrite), 3u);
  EXPECT_EQ(backend_.Usage().live_records, 2u);
}

TEST_F(FaultBackendTest, AllCallsFailUntilToldOtherwise) {
  const Written object = WriteOne(&backend_, 1, "a");
  backend_.FailAll(Operation::kRead, absl::InternalError("planted"));
  EXPECT_EQ(ReadBack(&backend_, object), absl::InternalError("planted"));
  EXPECT_EQ(ReadBack(&backend_, object), absl::InternalError("planted"));
  backend_.FailAll(Operation::kRead, absl::OkStatus());
  EXPECT_EQ(ReadBack(&backend_, object), absl::OkStatus());
}

TEST_F(FaultBackendTest, OneRecordOfABatchFailsAlone) {
  backend_.FailWritesOf(2, absl::InternalError("planted"));
  const std::vector<std::string> payloads = {"a", "b", "c"};
  std::vector<SpillRecord> records(3);
  for (size_t i = 0; i < 3; ++i) {
    records[i].object_id = i + 1;
    records[i].payload = payloads[i];
  }
  std::vector<SpillResult> results;
  backend_.Write(records, &results);
  EXPECT_EQ(results[0].status, absl::OkStatus());
  EXPECT_EQ(results[1].status, absl::InternalError("planted"));
  EXPECT_EQ(results[1].ticket, kNoTicket);
  EXPECT_EQ(results[2].status, absl::OkStatus());
  EXPECT_EQ(backend_.Usage().live_records, 2u);
}

TEST_F(FaultBackendTest, ReadsAreHarmedAsPlanned) {
  const Written object = WriteOne(&backend_, 1, RandomPayload(1, 1000));
  std::string bytes(1000, '\0');
  SpillRead read{object.ticket, 1, TypeOf(1), absl::MakeSpan(bytes)};
  std::vector<absl::Status> statuses;
  backend_.HarmNthRead(1, FaultBackend::ReadFault::kFlipBit);
  backend_.HarmNthRead(2, FaultBackend::ReadFault::kShort);
  backend_.HarmNthRead(3, FaultBackend::ReadFault::kDataLoss);
  backend_.Read({&read, 1}, &statuses);
  EXPECT_EQ(statuses[0], absl::OkStatus());
  EXPECT_NE(bytes, object.payload);
  backend_.Read({&read, 1}, &statuses);
  EXPECT_EQ(statuses[0].code(), absl::StatusCode::kInternal);
  backend_.Read({&read, 1}, &statuses);
  EXPECT_TRUE(absl::IsDataLoss(statuses[0]));
  EXPECT_EQ(ReadBack(&backend_, object), absl::OkStatus());
}

TEST_F(FaultBackendTest, ADamagedObjectIsDataLossAndOthersAreNot) {
  const std::vector<Written> objects = WriteAll(&backend_, 1, {"a", "b"});
  backend_.Damage(1);
  EXPECT_TRUE(absl::IsDataLoss(ReadBack(&backend_, objects[0])));
  EXPECT_EQ(ReadBack(&backend_, objects[1]), absl::OkStatus());
}

TEST_F(FaultBackendTest, CapacityRefusesWritesUntilSpaceComesBack) {
  backend_.SetCapacity(100);
  const Written object = WriteOne(&backend_, 1, RandomPayload(1, 80));
  EXPECT_TRUE(absl::IsResourceExhausted(TryWrite(2, RandomPayload(2, 30))));
  EXPECT_TRUE(absl::IsResourceExhausted(backend_.Health()));
  backend_.Release(object.ticket);
  EXPECT_EQ(TryWrite(2, RandomPayload(2, 30)), absl::OkStatus());
}

TEST_F(FaultBackendTest, AHeldCompletionHasDoneItsWork) {
  backend_.Hold(Operation::kWrite, FaultBackend::HoldPoint::kCompletion);
  std::thread writer([&] { WriteOne(&backend_, 1, "a"); });
  backend_.WaitUntilHeld(Operation::kWrite, 1);
  EXPECT_EQ(backend_.Usage().live_records, 1u);
  backend_.LetGo(Operation::kWrite);
  writer.join();
}

TEST_F(FaultBackendTest, HeldCallsGoOneByOne) {
  backend_.Hold(Operation::kWrite);
  std::thread first([&] { WriteOne(&backend_, 1, "a"); });
  std::thread second([&] { WriteOne(&backend_, 2, "b"); });
  backend_.WaitUntilHeld(Operation::kWrite, 2);
  EXPECT_EQ(backend_.Usage().live_records, 0u);
  backend_.LetGo(Operation::kWrite, 1);
  EXPECT_TRUE(testing::Eventually([&] { return backend_.Usage().live_records == 1; }));
  EXPECT_EQ(backend_.held(Operation::kWrite), 1u);
  backend_.LetGo(Operation::kWrite);
  first.join();
  second.join();
  EXPECT_EQ(backend_.Usage().live_records, 2u);
}

TEST_F(FaultBackendTest, ACrashTakesWhatIsNotDurable) {
  const Written scratch = WriteOne(&backend_, 1, "a");
  const Written durable = WriteOne(&backend_, 2, "b", /*durable=*/true);
  backend_.LoseUnsynced();
  EXPECT_TRUE(absl::IsDataLoss(ReadBack(&backend_, scratch)));
  EXPECT_EQ(ReadBack(&backend_, durable), absl::OkStatus());
}

TEST_F(FaultBackendTest, RelocationIsOfferedToTheListener) {
  Listener listener;
  backend_.SetRelocationListener(&listener);
  Written object = WriteOne(&backend_, 1, "a");
  absl::StatusOr<bool> moved = backend_.Relocate(object.ticket);
  ASSERT_TRUE(moved.ok() && *moved);
  EXPECT_EQ(listener.id, 1u);
  EXPECT_EQ(listener.old_ticket, object.ticket);
  EXPECT_TRUE(absl::IsNotFound(ReadBack(&backend_, object)));
  object.ticket = listener.new_ticket;
  EXPECT_EQ(ReadBack(&backend_, object), absl::OkStatus());

  listener.accept = false;
  moved = backend_.Relocate(object.ticket);
  ASSERT_TRUE(moved.ok());
  EXPECT_FALSE(*moved);
  EXPECT_EQ(ReadBack(&backend_, object), absl::OkStatus());
  EXPECT_EQ(backend_.Usage().live_records, 1u);
  EXPECT_TRUE(absl::IsNotFound(backend_.Relocate(12345).status()));
}

}  // namespace
}  // namespace spillway

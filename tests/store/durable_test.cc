// Objects and names that outlive the process, over the real spill tier: stores are opened one after
// the other on one directory.
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/codec.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/store/held_store.h"
#include "tests/store/scene_generated.h"
#include "tests/store/store_directory.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Sizes that stand in the index, fill a file's chunk, and take several.
const size_t kSizes[] = {0, 1, 1000, 16384, 16385, 300000, 3000000};

PutOptions Durable() {
  PutOptions options;
  options.durable = true;
  return options;
}

PutOptions Named(absl::string_view name, bool replace = false) {
  PutOptions options;
  options.name = name;
  options.replace = replace;
  return options;
}

// False after ten seconds.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

std::vector<std::string> NamesIn(const ObjectStore& store, absl::string_view prefix = "") {
  std::vector<std::string> names;
  const std::vector<NamedObject> page = store.ListNames(prefix).value();
  for (const NamedObject& named : page) names.push_back(named.name);
  return names;
}

TEST(DurableTest, ObjectsAreFoundAgainByIdAndByName) {
  StoreDirectory directory;
  std::map<uint64_t, std::string> by_id;
  ObjectId last{0};
  {
    auto store = directory.Open();
    for (const size_t size : kSizes) {
      const std::string bytes = BytesOfSeed(size, size);
      const std::string name = absl::StrCat("size/", size);
      by_id[store->Put(bytes, Durable())->id().value] = bytes;  // the ref goes at once
      ASSERT_TRUE(store->Put(bytes, Named(name)).ok());
      auto later = store->Put(bytes).value();
      ASSERT_TRUE(later.Persist().ok());
      by_id[later.id().value] = bytes;
    }
    auto scratch = store->Put(std::string("not kept")).value();
    last = scratch.id();
    ASSERT_TRUE(store->Flush().ok());
    ASSERT_TRUE(store->Close().ok());
    EXPECT_EQ(scratch.Get().status().code(), absl::StatusCode::kUnavailable);
  }
  auto store = directory.Open();
  EXPECT_EQ(store->Stats().objects, 0u);  // nothing is brought in before it is asked for
  EXPECT_EQ(store->Stats().disk_live_bytes > 0, true);
  for (const auto& [id, bytes] : by_id) {
    EXPECT_TRUE(store->Exists({id}));
    const ObjectMetadata metadata = store->Metadata({id}).value();
    EXPECT_EQ(metadata.state, "Cold");
    EXPECT_EQ(metadata.size_bytes, Codec<std::string>::EncodedSize(bytes).value());
    EXPECT_TRUE(metadata.durable);
    EXPECT_THAT(metadata.names, IsEmpty());
    EXPECT_EQ(store->Stats().restores, 0u);
  }
  for (const auto& [id, bytes] : by_id) {
    EXPECT_EQ(*store->Get<std::string>({id}).value(), bytes);
  }
  for (const size_t size : kSizes) {
    const std::string name = absl::StrCat("size/", size);
    auto ref = store->Find<std::string>(name).value();
    EXPECT_EQ(ref.Read().value(), BytesOfSeed(size, size));
    EXPECT_THAT(store->Metadata(ref.id())->names, ElementsAre(name));
    EXPECT_EQ(store->Find(name)->id(), ref.id());
  }
  EXPECT_EQ(store->Stats().objects, 0u);  // and it leaves with its last ref
  EXPECT_TRUE(absl::IsNotFound(store->Ref(last).status()));
  EXPECT_TRUE(absl::IsNotFound(store->Find<std::string>("size/7").status()));
  EXPECT_GT(store->Put(std::string("new"))->id().value, last.value);  // no id comes twice
}

TEST(DurableTest, DiscardWipesThem) {
  StoreDirectory directory;
  ObjectId id{0};
  {
    auto store = directory.Open();
    id = store->Put(std::string("gone"), Named("a"))->id();
  }
  {
    auto store = directory.Open(SpillRecovery::kDiscard);
    EXPECT_TRUE(absl::IsNotFound(store->Ref(id).status()));
    EXPECT_TRUE(absl::IsNotFound(store->Find<std::string>("a").status()));
    // It would promise what it does not keep.
    for (const PutOptions& options : {Durable(), Named("b")}) {
      const absl::Status refused = store->Put(std::string("x"), options).status();
      EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
      EXPECT_THAT(refused.message(), HasSubstr("kKeep"));
    }
    auto ref = store->Put(std::string("x")).value();
    EXPECT_TRUE(absl::IsFailedPrecondition(ref.Persist()));
    EXPECT_TRUE(absl::IsFailedPrecondition(store->Bind("b", ref.any())));
    EXPECT_GT(ref.id().value, id.value);
  }
  EXPECT_THAT(NamesIn(*directory.Open()), IsEmpty());
}

TEST(DurableTest, AMemoryOnlyStoreSaysThatItKeepsNothing) {
  HeldStore held(HeldStore::SpillTier::kNone, SpillRecovery::kKeep);
  auto ref = held.store->Put(std::string("x")).value();
  for (const absl::Status& status :
       {held.store->Put(std::string("x"), Durable()).status(),
        held.store->Put(std::string("x"), Named("n")).status(), ref.Persist(),
        held.store->Bind("n", ref.any()), held.store->Unbind("n"),
        held.store->Find<std::string>("n").status(), held.store->ListNames().status(),
        held.store->Create(10, Durable()).status(),
        held.store->MakePending<std::string>(Durable()).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("spill_directory"));
  }
  EXPECT_TRUE(absl::IsNotFound(held.store->Ref({12345}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AnyRef().Persist()));
  EXPECT_EQ(held.store->Stats().objects, 1u);
}

TEST(DurableTest, BadNamesAndOptionsAreRefused) {
  HeldStore held(HeldStore::SpillTier::kMemory, SpillRecovery::kKeep);
  auto ref = held.store->Put(std::string("x")).value();
  const std::string longest(1024, 'n');
  for (const std::string& name : {std::string(), longest + "n", std::string("a\0b", 3)}) {
    for (const absl::Status& status : {held.store->Put(std::string("x"), Named(name)).status(),
                                       held.store->Bind(name, ref.any()), held.store->Unbind(name),
                                       held.store->Find<std::string>(name).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_THAT(status.message(), HasSubstr("name"));
    }
  }
  EXPECT_TRUE(held.store->Put(std::string("x"), Named(longest)).ok());
  EXPECT_TRUE(held.store->Find<std::string>(longest).ok());
  PutOptions droppable = Durable();
  droppable.on_evict = OnEvict::kDrop;
  EXPECT_TRUE(absl::IsInvalidArgument(held.store->Put(std::string("x"), droppable).status()));
  PutOptions nameless;
  nameless.replace = true;
  EXPECT_TRUE(absl::IsInvalidArgument(held.store->Put(std::string("x"), nameless).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(held.store->Bind("n", AnyRef())));
  EXPECT_TRUE(absl::IsNotFound(held.store->Unbind("n")));
  EXPECT_TRUE(absl::IsInvalidArgument(
      held.store->ListNames("", "", ObjectStore::kNamesPerPageMax + 1).status()));
  HeldStore other(HeldStore::SpillTier::kMemory, SpillRecovery::kKeep);
  EXPECT_TRUE(absl::IsInvalidArgument(other.store->Bind("n", ref.any())));
}

TEST(DurableTest, ANameThatIsTakenIsRefusedOrReplaced) {
  StoreDirectory directory;
  {
    auto store = directory.Open();
    auto first = store->Put(std::string("first"), Named("n")).value();
    const absl::Status refused = store->Put(std::string("second"), Named("n")).status();
    EXPECT_TRUE(absl::IsAlreadyExists(refused)) << refused;
    EXPECT_THAT(refused.message(), HasSubstr(ToString(first.id())));
    auto second = store->Put(std::string("second")).value();
    EXPECT_TRUE(absl::IsAlreadyExists(store->Bind("n", second.any())));
    EXPECT_TRUE(store->Bind("n", first.any()).ok());  // it has it already
    ASSERT_TRUE(store->Bind("n", second.any(), true).ok());
    EXPECT_EQ(store->Find<std::string>("n")->Read().value(), "second");
    // Who holds the old one keeps it, for now.
    EXPECT_EQ(first.Read().value(), "first");
    EXPECT_TRUE(store->Exists(first.id()));
    EXPECT_FALSE(store->Metadata(first.id())->durable);
    EXPECT_TRUE(store->Metadata(second.id())->durable);
    ASSERT_TRUE(store->Put(std::string("third"), Named("n", true)).ok());
    EXPECT_EQ(second.Read().value(), "second");
    const ObjectId second_id = second.id();
    second = {};
    EXPECT_FALSE(store->Exists(second_id));
  }
  auto store = directory.Open();
  EXPECT_THAT(NamesIn(*store), ElementsAre("n"));
  EXPECT_EQ(store->Find<std::string>("n")->Read().value(), "third");
  // Nobody uses the object that goes: it is not brought in for that.
  ASSERT_TRUE(store->Put(std::string("fourth"), Named("n", true)).ok());
  EXPECT_EQ(store->Stats().restores, 1u);
  EXPECT_EQ(store->Find<std::string>("n")->Read().value(), "fourth");
}

TEST(DurableTest, AnObjectEndsWithItsLastNameAndItsLastRef) {
  StoreDirectory directory;
  for (const size_t size : {size_t{100}, size_t{100000}}) {
    const std::string bytes = BytesOfSeed(size, 7);
    ObjectId two_names, held, kept, unused;
    {
      auto store = directory.Open();
      auto ref = store->Put(bytes, Named("a")).value();
      two_names = ref.id();
      ASSERT_TRUE(store->Bind("b", ref.any()).ok());
      EXPECT_THAT(store->Metadata(two_names)->names, ElementsAre("a", "b"));
      EXPECT_THAT(store->Holders().at(0).names, ElementsAre("a", "b"));
      EXPECT_TRUE(store->Holders().at(0).durable);
      ASSERT_TRUE(store->Unbind("a").ok());
      EXPECT_TRUE(absl::IsNotFound(store->Unbind("a")));
      EXPECT_TRUE(store->Metadata(two_names)->durable);

      auto other = store->Put(bytes, Named("c")).value();
      held = other.id();
      ASSERT_TRUE(store->Unbind("c").ok());
      EXPECT_FALSE(store->Metadata(held)->durable);
      EXPECT_EQ(*other.Get().value(), bytes);

      auto third = store->Put(bytes, Named("d")).value();
      kept = third.id();
      ASSERT_TRUE(store->Unbind("d").ok());
      ASSERT_TRUE(third.Persist().ok());

      unused = store->Put(bytes, Named("e"))->id();
      ASSERT_TRUE(store->Unbind("e").ok());
      EXPECT_FALSE(store->Exists(unused));
    }
    auto store = directory.Open();
    EXPECT_TRUE(store->Exists(two_names));
    EXPECT_FALSE(store->Exists(held));  // its refs went with the process
    EXPECT_TRUE(store->Exists(kept));
    EXPECT_FALSE(store->Exists(unused));
    EXPECT_THAT(NamesIn(*store), ElementsAre("b"));
    ASSERT_TRUE(store->Delete(two_names).ok());
    ASSERT_TRUE(store->Delete(kept).ok());
    EXPECT_THAT(NamesIn(*store), IsEmpty());
    EXPECT_EQ(store->Stats().disk_live_bytes, 0u);
  }
}

TEST(DurableTest, DeleteIsForGood) {
  StoreDirectory directory;
  ObjectId by_id, by_name, resident;
  {
    auto store = directory.Open();
    by_id = store->Put(BytesOfSeed(100, 1), Durable())->id();
    by_name = store->Put(BytesOfSeed(100000, 2), Named("n"))->id();
    auto ref = store->Put(BytesOfSeed(100000, 3), Named("m")).value();
    ASSERT_TRUE(store->Bind("o", ref.any()).ok());
    resident = ref.id();
    auto view = ref.Get().value();
    ASSERT_TRUE(store->Delete(resident).ok());
    EXPECT_TRUE(absl::IsNotFound(ref.Get().status()));
    EXPECT_TRUE(absl::IsNotFound(ref.Persist()));
    EXPECT_TRUE(absl::IsNotFound(store->Bind("p", ref.any())));
    EXPECT_EQ(*view, BytesOfSeed(100000, 3));
    EXPECT_THAT(NamesIn(*store), ElementsAre("n"));
    ASSERT_TRUE(store->Delete(by_id).ok());  // no entry, no ref
    EXPECT_TRUE(absl::IsNotFound(store->Delete(by_id)));
  }
  {
    auto store = directory.Open();
    EXPECT_FALSE(store->Exists(by_id));
    EXPECT_FALSE(store->Exists(resident));
    ASSERT_TRUE(store->Delete(by_name).ok());
  }
  auto store = directory.Open();
  EXPECT_THAT(NamesIn(*store), IsEmpty());
  EXPECT_EQ(store->Stats().disk_live_bytes, 0u);
}

TEST(DurableTest, NamesAreListedPageByPage) {
  StoreDirectory directory;
  {
    auto store = directory.Open();
    auto ref = store->Put(std::string("many names")).value();
    for (const char* name : {"b/2", "a", "b/1", "b/3", "c"}) {
      ASSERT_TRUE(store->Bind(name, ref.any()).ok());
    }
  }
  auto store = directory.Open();
  EXPECT_THAT(NamesIn(*store), ElementsAre("a", "b/1", "b/2", "b/3", "c"));
  EXPECT_THAT(NamesIn(*store, "b/"), ElementsAre("b/1", "b/2", "b/3"));
  EXPECT_THAT(NamesIn(*store, "x"), IsEmpty());
  std::vector<std::string> paged;
  std::string after;
  for (;;) {
    const std::vector<NamedObject> page = store->ListNames("b/", after, 2).value();
    if (page.empty()) break;
    EXPECT_LE(page.size(), 2u);
    for (const NamedObject& named : page) {
      paged.push_back(named.name);
      EXPECT_EQ(named.id, store->Find(named.name)->id());
    }
    after = page.back().name;
  }
  EXPECT_THAT(paged, ElementsAre("b/1", "b/2", "b/3"));
  EXPECT_THAT(store->ListNames("", "", 0).value(), IsEmpty());
}

TEST(DurableTest, EveryWayToPutCanBeDurable) {
  StoreDirectory directory;
  {
    auto store = directory.Open();
    BuildOptions build;
    build.put = Named("built");
    ASSERT_TRUE(
        store
            ->Build<test::Scene>(
                [](flatbuffers::FlatBufferBuilder& builder) { return test::CreateScene(builder); },
                build)
            .ok());
    auto builder = store->Create(5, Named("created")).value();
    std::memcpy(builder.data().data(), "bytes", 5);
    EXPECT_TRUE(absl::IsNotFound(store->Find("created").status()));  // not before it is sealed
    ASSERT_TRUE(builder.Seal().ok());
    ASSERT_TRUE(store->PutRaw("raw", ObjectType{}, Named("raw")).ok());
    auto pending = store->MakePending<std::string>(Named("pending")).value();
    EXPECT_TRUE(absl::IsNotFound(store->Find("pending").status()));
    ASSERT_TRUE(pending.promise.Set(std::string("kept")).ok());
    auto failed = store->MakePending<std::string>(Named("failed")).value();
    failed.promise.Fail(absl::InternalError("no value"));
    auto droppable_options = PutOptions();
    droppable_options.on_evict = OnEvict::kDrop;
    auto droppable = store->Put(std::string("droppable"), droppable_options).value();
    ASSERT_TRUE(store->Bind("droppable", droppable.any()).ok());
  }
  auto store = directory.Open();
  EXPECT_THAT(NamesIn(*store), ElementsAre("built", "created", "droppable", "pending", "raw"));
  EXPECT_TRUE(store->Find<test::Scene>("built")->Get().ok());
  EXPECT_EQ(store->Find("created")->GetRaw()->size(), 5u);
  EXPECT_EQ(store->Find<std::string>("pending")->Read().value(), "kept");
  EXPECT_EQ(store->Find<std::string>("droppable")->Read().value(), "droppable");
}

TEST(DurableTest, TypesAreCheckedAndBytesOfAnotherRunVerified) {
  StoreDirectory directory;
  {
    auto store = directory.Open();
    ASSERT_TRUE(store->Put(std::vector<double>{1, 2, 3}, Named("doubles")).ok());
    // Bytes that are no scene, under a scene's type.
    ASSERT_TRUE(
        store->PutRaw("no such flatbuffer", Codec<test::Scene>::Type(), Named("scene")).ok());
  }
  auto store = directory.Open();
  const absl::Status wrong = store->Find<std::string>("doubles").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(wrong)) << wrong;
  EXPECT_THAT(store->Find<std::vector<double>>("doubles")->Read().value(), ElementsAre(1, 2, 3));
  auto scene = store->Find<test::Scene>("scene").value();
  EXPECT_TRUE(absl::IsDataLoss(scene.Get().status())) << scene.Get().status();
  EXPECT_TRUE(scene.any().GetRaw().ok());
}

TEST(DurableTest, WhatAContainerContainsIsDurableWithIt) {
  using Refs = std::vector<ObjectRef<std::string>>;
  StoreDirectory directory;
  {
    auto store = directory.Open();
    Refs parts;
    for (int i = 0; i < 10; ++i) parts.push_back(store->Put(absl::StrCat("part ", i)).value());
    auto inner = store->Put(parts).value();
    PutOptions options = Named("outer");
    const std::vector<AnyRef> contains = {inner.any()};
    options.contains = contains;
    ASSERT_TRUE(store->Put(inner.id().value, options).ok());
    for (const auto& part : parts) EXPECT_TRUE(store->Metadata(part.id())->durable);
  }
  auto store = directory.Open();
  const ObjectId inner{store->Find<uint64_t>("outer")->Read().value()};
  const Refs parts = store->Ref<Refs>(inner)->Read().value();
  ASSERT_EQ(parts.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(parts[static_cast<size_t>(i)].Read().value(), absl::StrCat("part ", i));
  }
}

TEST(DurableTest, DurableObjectsComeAndGoUnderMemoryPressure) {
  StoreDirectory directory;
  constexpr int kObjects = 96;  // of a MiB, in 32 MiB
  {
    auto store = directory.Open();
    std::vector<ObjectRef<std::string>> refs;
    for (int i = 0; i < kObjects; ++i) {
      refs.push_back(store
                         ->Put(BytesOfSeed(1 << 20, static_cast<uint64_t>(i)),
                               i % 2 == 0 ? Durable() : PutOptions())
                         .value());
    }
    for (int i = 0; i < kObjects; ++i) {
      // The others may be hot, clean or cold by now.
      if (i % 4 != 1) continue;
      ASSERT_TRUE(store->Bind(absl::StrCat(i), refs[static_cast<size_t>(i)].any()).ok());
    }
    for (int i = 0; i < kObjects; ++i) {
      EXPECT_EQ(*refs[static_cast<size_t>(i)].Get().value(),
                BytesOfSeed(1 << 20, static_cast<uint64_t>(i)));
    }
  }
  auto store = directory.Open();
  for (int i = 1; i < kObjects; i += 4) {
    EXPECT_EQ(store->Find<std::string>(absl::StrCat(i))->Read().value(),
              BytesOfSeed(1 << 20, static_cast<uint64_t>(i)));
  }
}

TEST(DurableTest, ManyThreadsPutAndReplaceAtOnce) {
  StoreDirectory directory;
  constexpr int kThreads = 16;
  constexpr int kRounds = 30;
  std::vector<std::vector<ObjectId>> ids(kThreads);
  {
    auto store = directory.Open();
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          const std::string bytes = absl::StrCat(t, ":", i);
          ids[static_cast<size_t>(t)].push_back(store->Put(bytes, Durable())->id());
          // Names of everybody's, and names of one's own.
          ASSERT_TRUE(store->Put(bytes, Named(absl::StrCat("shared/", i % 3), true)).ok());
          ASSERT_TRUE(store->Put(bytes, Named(absl::StrCat("own/", t), true)).ok());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  auto store = directory.Open();
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kRounds; ++i) {
      const auto view =
          store->Get<std::string>(ids[static_cast<size_t>(t)][static_cast<size_t>(i)]);
      ASSERT_TRUE(view.ok()) << view.status();
      EXPECT_EQ(**view, absl::StrCat(t, ":", i));
    }
    EXPECT_EQ(store->Find<std::string>(absl::StrCat("own/", t))->Read().value(),
              absl::StrCat(t, ":", kRounds - 1));
    for (const ObjectId id : ids[static_cast<size_t>(t)]) ASSERT_TRUE(store->Delete(id).ok());
  }
  EXPECT_EQ(NamesIn(*store, "shared/").size(), 3u);
  for (const std::string& name : NamesIn(*store)) ASSERT_TRUE(store->Unbind(name).ok());
  // Nothing is left of all that was replaced, once it was taken out of the index.
  EXPECT_TRUE(Eventually([&] { return store->Stats().disk_live_bytes == 0; }));
}

}  // namespace
}  // namespace spillway

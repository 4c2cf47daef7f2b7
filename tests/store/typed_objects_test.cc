// Types at the store's door: what is asked for as something else, and bytes from outside that are
// not what they claim to be.
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatbuffers/flatbuffers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/codec.h"
#include "serialization/type_registry.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"
#include "tests/serialization/zoo_generated.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TypedObjectsTest : public ::testing::Test {
 protected:
  // What a typed get of these bytes says, put as payload of a T.
  template <typename T>
  absl::Status StatusOfRaw(absl::Span<const char> bytes) {
    const AnyRef ref = store_->PutRaw(bytes, Codec<T>::Type()).value();
    return ref.As<T>().value().Get().status();
  }

  template <typename T>
  std::string PayloadOf(const T& value) {
    const RawView view = store_->Put(value).value().any().GetRaw().value();
    return std::string(view.data(), view.size());
  }

  const std::unique_ptr<ObjectStore> store_ = [] {
    StoreOptions options;
    options.memory_limit_bytes = 32 * kMiB;
    return ObjectStore::Open(options, NewMemoryBackend()).value();
  }();
};

TEST_F(TypedObjectsTest, TheWrongTypeIsRefusedAndNamed) {
  const ObjectRef<std::vector<double>> ref = store_->Put(std::vector<double>{1, 2}).value();
  for (const absl::Status& status :
       {store_->Get<std::string>(ref.id()).status(), store_->Ref<std::string>(ref.id()).status(),
        ref.any().As<std::string>().status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("(vector<double>, 40 bytes) was asked for as string"));
  }
  EXPECT_TRUE(store_->GetRaw(ref.id()).ok());
}

TEST_F(TypedObjectsTest, AnIncompatibleSchemaIsRefusedAndSaidToBeOne) {
  const std::string bytes = PayloadOf(zoo::AnimalT());
  ObjectType other = Codec<zoo::Animal>::Type();
  other.fingerprint = 0x77;
  const AnyRef ref = store_->PutRaw(bytes, other).value();
  const absl::Status status = store_->Get<zoo::Animal>(ref.id()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("(zoo.Animal, 16 bytes) has the schema 0000000000000077 and was asked for "
                        "with the schema 91eb656fc82aed8b, which does not extend the other"));
}

TEST_F(TypedObjectsTest, SchemasOfRefsFollowFromTheirNames) {
  using Refs = std::map<std::string, std::optional<ObjectRef<std::vector<double>>>>;
  const std::string name = Codec<Refs>::TypeName();
  EXPECT_EQ(name, "map<string,optional<ref<vector<double>>>>");
  const std::string from_name = SchemaText(name).value();
  RegisterType<Refs>();
  EXPECT_EQ(SchemaText(name).value(), from_name);
  EXPECT_TRUE(SchemaText("ref<a.Type.OfAnotherProgram>").ok());
  EXPECT_FALSE(SchemaText("ref<>").ok());
  EXPECT_FALSE(SchemaText("ref<string").ok());
}

TEST_F(TypedObjectsTest, TruncatedPayloadsAreDataLossWithoutHarmToOthers) {
  const std::string whole = PayloadOf(std::vector<double>{1, 2, 3});
  for (size_t length = 0; length < whole.size(); ++length) {
    const absl::Status status = StatusOfRaw<std::vector<double>>({whole.data(), length});
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << length;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is not a valid vector<double>"));
  }
  EXPECT_TRUE(StatusOfRaw<std::vector<double>>(whole).ok());
}

TEST_F(TypedObjectsTest, TheWrongFileIdentifierIsRefusedBothWays) {
  std::string bytes = PayloadOf(zoo::AnimalT());
  EXPECT_TRUE(StatusOfRaw<zoo::Animal>(bytes).ok());
  bytes[4] = 'X';
  const absl::Status status = StatusOfRaw<zoo::Animal>(bytes);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("file identifier \"ZOOA\" but \"XOOA\""));

  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(zoo::CreateAnimal(builder), "NONE");
  EXPECT_EQ(store_->PutAs<zoo::Animal>(builder).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(TypedObjectsTest, BytesThatVerifyButExceedALimitAreRefused) {
  zoo::AnimalT animal;
  for (int i = 0; i < 70; ++i) {
    zoo::AnimalT parent;
    parent.young.push_back(std::make_unique<zoo::AnimalT>(animal));
    animal = parent;
  }
  // The program's own bytes are trusted.
  const ObjectRef<zoo::AnimalT> own = store_->Put(animal).value();
  EXPECT_TRUE(own.Get().ok());
  const RawView bytes = own.any().GetRaw().value();
  const absl::Status status = StatusOfRaw<zoo::Animal>(bytes.bytes());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nested deeper than the limit of 64"));
}

TEST_F(TypedObjectsTest, BytesFromOutsideMayStandAnywhere) {
  const std::string payload = PayloadOf(std::vector<double>{1, 2});
  for (size_t shift = 0; shift < 9; ++shift) {
    const std::string room = std::string(shift, '-') + payload;
    const AnyRef ref =
        store_->PutRaw(absl::MakeConstSpan(room).subspan(shift), Codec<std::vector<double>>::Type())
            .value();
    EXPECT_THAT(*ref.As<std::vector<double>>().value().Get().value(), ElementsAre(1, 2));
  }
}

TEST_F(TypedObjectsTest, RawObjectsOfNoBytesAreObjects) {
  const ObjectRef<RawBytes> put = store_->Put(RawBytes{}).value();
  const AnyRef raw = store_->PutRaw({}, ObjectType{}).value();
  // As a file of no bytes is no FlatBuffer.
  EXPECT_EQ(StatusOfRaw<int>({}).code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(store_->Flush().ok());
  std::vector<ObjectRef<std::string>> others;  // more than there is memory
  for (int i = 0; i < 100; ++i) others.push_back(store_->Put(std::string(1 << 20, 'x')).value());
  EXPECT_TRUE(put.Get().value()->empty());
  EXPECT_TRUE(raw.As<RawBytes>().value().Get().value()->empty());
  EXPECT_EQ(put.Read().value(), RawBytes{});
  EXPECT_EQ(put.size_bytes(), 0u);
}

TEST_F(TypedObjectsTest, AFlatBufferThatCannotBeIsNotBegun) {
  BuildOptions options;
  options.size_hint_bytes = uint64_t{3} << 30;
  const absl::StatusOr<ObjectRef<zoo::Food>> food = store_->Build<zoo::Food>(
      [](flatbuffers::FlatBufferBuilder& builder) { return zoo::CreateFood(builder); }, options);
  EXPECT_EQ(food.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(food.status().message()),
              HasSubstr("zoo.Food needs a payload of 3221225472 bytes"));
}

}  // namespace
}  // namespace spillway

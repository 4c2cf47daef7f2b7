// Values and bytes at the edges of what codecs take. serialization/README.md has the table of what
// happens to each, and with which test.
#include <sys/mman.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "flatbuffers/flatbuffers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/object.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"
#include "tests/serialization/zoo_generated.h"

namespace edge {

struct Sample {
  double value = 0;
  float weight = 0;
};

struct Series {
  std::string name;
  std::vector<Sample> samples;
  std::optional<double> mean;
  std::map<std::string, float> totals;
};

}  // namespace edge

SPILLWAY_OBJECT(edge::Sample, value, weight)
SPILLWAY_OBJECT(edge::Series, name, samples, mean, totals)

namespace spillway {
namespace {

using testing::HasSubstr;

constexpr size_t kGibibyte = size_t{1} << 30;

// Address space that may not be touched.
class Untouchable {
 public:
  explicit Untouchable(size_t size)
      : bytes_(mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
        size_(size) {
    EXPECT_NE(bytes_, MAP_FAILED);
  }
  ~Untouchable() { munmap(bytes_, size_); }
  Untouchable(const Untouchable&) = delete;
  Untouchable& operator=(const Untouchable&) = delete;

  const char* data() const { return static_cast<const char*>(bytes_); }
  size_t size() const { return size_; }

 private:
  void* const bytes_;
  const size_t size_;
};

void ExpectTooLarge(const absl::StatusOr<size_t>& size, std::string_view type_name) {
  EXPECT_EQ(size.status().code(), absl::StatusCode::kInvalidArgument) << size.status();
  EXPECT_THAT(std::string(size.status().message()), testing::StartsWith(std::string(type_name)));
  EXPECT_THAT(std::string(size.status().message()),
              HasSubstr("than the 2147483646 bytes of the largest FlatBuffer"));
}

// --- Values beyond 2 GiB

TEST(BadInputTest, ValuesBeyondAFlatBufferAreRefusedWhateverTheyAreComposedOf) {
  const Untouchable memory(3 * kGibibyte);
  const std::string_view text(memory.data(), memory.size());
  ExpectTooLarge(Codec<std::string>::EncodedSize(text), "string");
  const std::vector<std::string_view> three(3, text.substr(0, kGibibyte));
  ExpectTooLarge(Codec<std::vector<std::string>>::EncodedSize(three), "vector<string>");
  const absl::Span<const edge::Sample> samples(reinterpret_cast<const edge::Sample*>(memory.data()),
                                               3 * kGibibyte / sizeof(edge::Sample));
  ExpectTooLarge(Codec<std::vector<edge::Sample>>::EncodedSize(samples), "vector<edge.Sample>");
}

// A type that takes a gibibyte without having one.
struct Gibibyte {};

}  // namespace

template <>
struct Codec<Gibibyte> {
  using View = absl::Span<const char>;
  static ObjectType Type() { return CustomType(TypeName(), 1, "a gibibyte of nothing"); }
  static std::string TypeName() { return "edge.Gibibyte"; }
  static absl::StatusOr<size_t> EncodedSize(const Gibibyte&) { return kGibibyte; }
  static void Encode(const Gibibyte&, absl::Span<char>) { FAIL() << "there is no room for it"; }
  static View MakeView(absl::Span<const char> payload) { return payload; }
  static absl::Status Verify(absl::Span<const char>, const VerifyLimits& = {}) {
    return absl::OkStatus();
  }
  static Gibibyte Decode(const View&) { return {}; }
};

namespace {

TEST(BadInputTest, PartsThatTogetherExceedAFlatBufferAreRefused) {
  EXPECT_TRUE(Codec<std::optional<Gibibyte>>::EncodedSize(Gibibyte()).ok());
  ExpectTooLarge(Codec<std::vector<Gibibyte>>::EncodedSize(std::vector<Gibibyte>(2)),
                 "vector<edge.Gibibyte>");
  using Pair = std::pair<Gibibyte, std::optional<Gibibyte>>;
  EXPECT_TRUE(Codec<Pair>::EncodedSize(Pair()).ok());
  ExpectTooLarge(Codec<Pair>::EncodedSize(Pair(Gibibyte(), Gibibyte())),
                 "pair<edge.Gibibyte,optional<edge.Gibibyte>>");
  // Beyond 4 GiB, where 32 bits would have gone round.
  ExpectTooLarge(Codec<std::vector<Gibibyte>>::EncodedSize(std::vector<Gibibyte>(5)),
                 "vector<edge.Gibibyte>");
}

// As flatc's code packs a table with one vector of so many bytes, but without writing them.
uint32_t PackUntouchedVector(flatbuffers::FlatBufferBuilder& builder, const void* bytes) {
  uint8_t* data = nullptr;
  const flatbuffers::uoffset_t vector =
      builder.CreateUninitializedVector(*static_cast<const size_t*>(bytes), 1, &data);
  const flatbuffers::uoffset_t start = builder.StartTable();
  builder.AddOffset(4, flatbuffers::Offset<void>(vector));
  return builder.EndTable(start);
}

TEST(BadInputTest, ObjectApiValuesBeyondAFlatBufferAreRefused) {
  const internal::TableInfo& table = internal::InfoOf<zoo::Animal>();
  for (size_t bytes : {size_t{100}, 2 * kGibibyte - 1000}) {
    const absl::StatusOr<size_t> size = internal::PackedBytes(&bytes, &PackUntouchedVector, table);
    ASSERT_TRUE(size.ok()) << size.status();
    EXPECT_GT(*size, bytes);
    EXPECT_LT(*size, bytes + 100);
  }
  for (size_t bytes : {2 * kGibibyte - 10, 2 * kGibibyte + 100, 3 * kGibibyte}) {
    ExpectTooLarge(internal::PackedBytes(&bytes, &PackUntouchedVector, table), "zoo.Animal");
  }
  // The next one is packed as ever.
  EXPECT_EQ(DecodedFrom(zoo::AnimalT()), zoo::AnimalT());
}

TEST(BadInputTest, FinishedBuffersBeyondAFlatBufferAreRefused) {
  const Untouchable memory(3 * kGibibyte);
  ExpectTooLarge(
      internal::CheckedBufferBytes({memory.data(), memory.size()}, internal::InfoOf<zoo::Animal>()),
      "zoo.Animal");
}

TEST(BadInputTest, PayloadsBeyondAFlatBufferAreRefusedBeforeTheyAreTouched) {
  const Untouchable memory(3 * kGibibyte);
  const absl::Span<const char> payload(memory.data(), memory.size());
  for (const absl::Status& status :
       {Codec<int>::Verify(payload), Codec<std::string>::Verify(payload),
        Codec<std::vector<double>>::Verify(payload),
        Codec<std::vector<std::string>>::Verify(payload), Codec<edge::Series>::Verify(payload),
        Codec<zoo::Animal>::Verify(payload)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("longer than a FlatBuffer can be"));
  }
  EXPECT_TRUE(Codec<RawBytes>::Verify(payload).ok());
  EXPECT_EQ(Codec<RawBytes>::MakeView(payload).size(), memory.size());
}

// --- Nothing

template <typename T>
void ExpectUnchanged(const T& value) {
  const Payload payload = EncodeToPayload<T>(value);
  EXPECT_TRUE(Codec<T>::Verify(payload.bytes()).ok()) << Codec<T>::Verify(payload.bytes());
  EXPECT_EQ(Codec<T>::Decode(Codec<T>::MakeView(payload.bytes())), value) << Codec<T>::TypeName();
}

TEST(BadInputTest, EmptyValuesAreValues) {
  ExpectUnchanged(std::string());
  ExpectUnchanged(std::vector<double>());
  ExpectUnchanged(std::vector<bool>());
  ExpectUnchanged(std::vector<std::string>());
  ExpectUnchanged(std::vector<std::string>(3));
  ExpectUnchanged(std::vector<std::vector<double>>(2));
  ExpectUnchanged(std::map<std::string, double>());
  ExpectUnchanged(std::map<std::string, std::string>{{"", ""}});
  ExpectUnchanged(std::optional<std::string>(""));
  ExpectUnchanged(std::variant<std::string, std::vector<int>>(std::vector<int>()));
  ExpectUnchanged(std::tuple<>());
  ExpectUnchanged(RawBytes());
  ExpectUnchanged(zoo::AnimalT());
}

TEST(BadInputTest, SourcesWithoutMemoryAreEmpty) {
  EXPECT_EQ(DecodedFrom(std::string_view()), "");
  EXPECT_EQ(DecodedFrom(absl::string_view()), "");
  EXPECT_TRUE(DecodedFrom(absl::Span<const double>()).empty());
  EXPECT_TRUE(DecodedFrom(absl::Span<const edge::Sample>()).empty());
  EXPECT_EQ(DecodedFrom(std::vector<std::string_view>(2)), std::vector<std::string>(2));
  EXPECT_EQ(EncodeToPayload<RawBytes>(absl::Span<const char>()).size(), 0);
  EXPECT_TRUE(Codec<RawBytes>::MakeView({}).empty());
  EXPECT_TRUE(Codec<RawBytes>::Decode({}).bytes.empty());
}

// --- Numbers that are not like others

uint64_t BitsOf(double number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}
uint64_t BitsOf(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

template <typename F>
std::vector<F> OddNumbers() {
  using Limits = std::numeric_limits<F>;
  return {Limits::quiet_NaN(),
          -Limits::quiet_NaN(),
          static_cast<F>(std::nan("5")),
          Limits::denorm_min(),
          -Limits::denorm_min(),
          Limits::min() / 2,
          F{0},
          -F{0},
          Limits::infinity(),
          -Limits::infinity(),
          Limits::max(),
          Limits::lowest()};
}

template <typename F>
void ExpectSameBits(const std::vector<F>& numbers) {
  const std::vector<F> read = DecodedFrom(numbers);
  ASSERT_EQ(read.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(BitsOf(read[i]), BitsOf(numbers[i])) << i;
    EXPECT_EQ(BitsOf(DecodedFrom(numbers[i])), BitsOf(numbers[i])) << i;
    EXPECT_EQ(BitsOf(*DecodedFrom(std::optional<F>(numbers[i]))), BitsOf(numbers[i])) << i;
    using Map = std::map<int, F>;
    EXPECT_EQ(BitsOf(DecodedFrom(Map{{1, numbers[i]}})[1]), BitsOf(numbers[i])) << i;
  }
}

TEST(BadInputTest, NansDenormalsAndInfinitiesKeepEveryBitWhereverTheyStand) {
  ExpectSameBits(OddNumbers<float>());
  ExpectSameBits(OddNumbers<double>());
  edge::Series series;
  for (double number : OddNumbers<double>()) {
    series.samples.push_back({number, static_cast<float>(number)});
  }
  const edge::Series read = DecodedFrom(series);
  for (size_t i = 0; i < series.samples.size(); ++i) {
    EXPECT_EQ(BitsOf(read.samples[i].value), BitsOf(series.samples[i].value)) << i;
    EXPECT_EQ(BitsOf(read.samples[i].weight), BitsOf(series.samples[i].weight)) << i;
  }
}

TEST(BadInputTest, NansAsKeysAreKept) {
  std::unordered_map<double, int> map = {{std::nan(""), 1}, {0.5, 2}};
  map.emplace(std::nan(""), 3);
  EXPECT_EQ(DecodedFrom(map).size(), 3);
  EXPECT_EQ(DecodedFrom(map).at(0.5), 2);
}

// --- NULs

TEST(BadInputTest, NulsInStringsAreCharactersLikeOthers) {
  const std::string nul(1, '\0'), inside("a\0b", 3), longer("a\0c", 3);
  ExpectUnchanged(nul);
  ExpectUnchanged(std::vector<std::string>{nul, "", inside, "a"});
  ExpectUnchanged(std::optional<std::string>(nul));
  ExpectUnchanged(RawBytes{inside});
  const std::map<std::string, int> map = {{"", 0}, {nul, 1}, {"a", 2}, {inside, 3}, {longer, 4}};
  ExpectUnchanged(map);
  const Payload payload = EncodeToPayload<std::map<std::string, int>>(map);
  const auto view = Codec<std::map<std::string, int>>::MakeView(payload.bytes());
  for (const auto& [key, value] : map) EXPECT_EQ((*view.find(key)).second, value) << value;
}

// --- Memory at odd addresses

TEST(BadInputTest, SourcesOfBytesMayStandAnywhere) {
  const std::string bytes = "bytes that do not care where they stand, be it odd or even";
  for (size_t shift = 0; shift < 16; ++shift) {
    std::string room = std::string(shift, '-') + bytes;
    const char* at = room.data() + shift;
    const std::string_view text(at, bytes.size());
    EXPECT_EQ(DecodedFrom(text), bytes);
    EXPECT_EQ(EncodeToPayload<RawBytes>(absl::Span<const char>(at, bytes.size())).ToString(),
              bytes);
    EXPECT_EQ(DecodedFrom(absl::Span<const char>(at, bytes.size())),
              std::vector<char>(bytes.begin(), bytes.end()));
    EXPECT_EQ(DecodedFrom(std::vector<std::string_view>{text, text.substr(1)}),
              (std::vector<std::string>{bytes, bytes.substr(1)}));
  }
}

// --- Payloads that end too early

template <typename T>
void ExpectTruncationsRefused(const T& value) {
  const std::string whole = EncodeToPayload<T>(value).ToString();
  for (size_t length = 0; length < whole.size(); ++length) {
    const Payload payload(whole.substr(0, length));
    const absl::Status status = Codec<T>::Verify(payload.bytes());
    if (status.ok()) {
      // Nothing but padding is missing.
      EXPECT_GE(length + 3, whole.size()) << Codec<T>::TypeName();
      EXPECT_EQ(Codec<T>::Decode(Codec<T>::MakeView(payload.bytes())), value);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(absl::StrCat("payload of ", length, " bytes is not a valid ",
                                         Codec<T>::TypeName())));
    }
  }
}

TEST(BadInputTest, TruncatedPayloadsAreDataLoss) {
  ExpectTruncationsRefused(true);
  ExpectTruncationsRefused(1.5);
  ExpectTruncationsRefused(std::string("text"));
  ExpectTruncationsRefused(std::string(300, 'x'));
  ExpectTruncationsRefused(std::vector<int16_t>{1, 2, 3});
  ExpectTruncationsRefused(std::vector<double>(200, 0.5));
  ExpectTruncationsRefused(std::vector<std::string>{"a", "", "bcd"});
  ExpectTruncationsRefused(std::vector<std::vector<int>>{{1}, {2, 3}});
  ExpectTruncationsRefused(std::map<std::string, double>{{"one", 1}, {"two", 2}});
  ExpectTruncationsRefused(std::tuple<bool, std::string>{true, "text"});
  ExpectTruncationsRefused(std::variant<int, std::string>("text"));
}

}  // namespace
}  // namespace spillway

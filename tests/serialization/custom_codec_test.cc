// Types that bring a format of their own, as whole objects and as parts of others.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/object.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"
#include "tests/serialization/zoo_generated.h"

namespace acme {

// A black and white image, stored as the lengths of its runs: white, black, white, ...
struct Image {
  uint32_t width = 0;
  std::vector<bool> pixels;

  friend bool operator==(const Image&, const Image&) = default;
};

// What a read without a copy yields.
struct ImageView {
  uint32_t width = 0;
  absl::Span<const uint32_t> runs;

  size_t pixels() const {
    size_t sum = 0;
    for (uint32_t run : runs) sum += run;
    return sum;
  }
};

// An id that is not to be mixed up with other numbers.
struct AccountId {
  uint64_t number = 0;

  friend auto operator<=>(const AccountId&, const AccountId&) = default;
};

// Refers to another object.
struct Link {
  uint64_t object_id = 0;

  friend bool operator==(const Link&, const Link&) = default;
};

struct Album {
  std::string title;
  std::vector<Image> images;
  std::optional<zoo::AnimalT> mascot;
  std::map<AccountId, Link> owners;
  std::vector<Album> parts;
};

}  // namespace acme

namespace spillway {

template <>
struct Codec<acme::Image> {
  using View = acme::ImageView;

  static ObjectType Type() {
    static const ObjectType type = CustomType(
        TypeName(), /*version=*/1, "u32 width, then u32 lengths of white and black runs");
    return type;
  }
  static std::string TypeName() { return "acme.Image"; }

  static absl::StatusOr<size_t> EncodedSize(const acme::Image& image) {
    if (image.width == 0 && !image.pixels.empty()) {
      return absl::InvalidArgumentError("an image with pixels has a width");
    }
    size_t runs = 0;
    ForEachRun(image, [&](uint32_t) { ++runs; });
    return (1 + runs) * sizeof(uint32_t);
  }
  static void Encode(const acme::Image& image, absl::Span<char> out) {
    char* at = out.data();
    std::memcpy(at, &image.width, sizeof(uint32_t));
    ForEachRun(image, [&](uint32_t run) {
      at += sizeof(uint32_t);
      std::memcpy(at, &run, sizeof(uint32_t));
    });
  }
  static View MakeView(absl::Span<const char> payload) {
    const auto* words = reinterpret_cast<const uint32_t*>(payload.data());
    return {words[0], absl::MakeConstSpan(words + 1, payload.size() / sizeof(uint32_t) - 1)};
  }
  static absl::Status Verify(absl::Span<const char> payload, const VerifyLimits& = {}) {
    if (payload.size() < sizeof(uint32_t) || payload.size() % sizeof(uint32_t) != 0 ||
        reinterpret_cast<uintptr_t>(payload.data()) % alignof(uint32_t) != 0) {
      return absl::DataLossError(
          absl::StrCat("payload of ", payload.size(), " bytes is not a valid acme.Image"));
    }
    // A few bytes can stand for very many pixels.
    if (MakeView(payload).pixels() > kMaxPixels) {
      return absl::DataLossError("an acme.Image with more pixels than the limit");
    }
    return absl::OkStatus();
  }
  static acme::Image Decode(const View& view) {
    acme::Image image = {view.width, {}};
    bool black = false;
    for (uint32_t run : view.runs) {
      image.pixels.insert(image.pixels.end(), run, black);
      black = !black;
    }
    return image;
  }

 private:
  static constexpr size_t kMaxPixels = size_t{1} << 20;

  template <typename Use>
  static void ForEachRun(const acme::Image& image, Use use) {
    bool colour = false;
    uint32_t run = 0;
    for (bool pixel : image.pixels) {
      if (pixel != colour) {
        use(run);
        run = 0;
        colour = pixel;
      }
      ++run;
    }
    if (run != 0) use(run);
  }
};

template <>
struct ScalarForm<acme::AccountId> {
  using Stored = uint64_t;
  using View = acme::AccountId;
  static std::string Name() { return "acme.AccountId"; }
  static uint64_t ToStored(const acme::AccountId& id) { return id.number; }
  static acme::AccountId FromStored(uint64_t number) { return {number}; }
  static acme::AccountId Decode(const acme::AccountId& view) { return view; }
};

template <>
struct ScalarForm<acme::Link> {
  using Stored = uint64_t;
  using View = acme::Link;
  static std::string Name() { return "acme.Link"; }
  static uint64_t ToStored(const acme::Link& link) { return link.object_id; }
  static acme::Link FromStored(uint64_t id) { return {id}; }
  static acme::Link Decode(const acme::Link& view) { return view; }
  static uint64_t ContainedId(const acme::Link& link) { return link.object_id; }
};

}  // namespace spillway

SPILLWAY_OBJECT(acme::Album, title, images, mascot, owners, parts)

namespace spillway {
namespace {

using testing::ElementsAre;

acme::Image Stripes() { return {3, {false, false, true, true, true, false}}; }

acme::Album Holidays() {
  acme::Album album;
  album.title = "Holidays";
  album.images = {Stripes(), {}};
  album.mascot.emplace();
  album.mascot->name = "Leo";
  album.owners[{7}] = {700};
  album.owners[{5}] = {500};
  album.parts.emplace_back().owners[{1}] = {100};
  return album;
}

TEST(CustomCodecTest, AFormatOfItsOwnRoundTrips) {
  Payload payload = EncodeToPayload<acme::Image>(Stripes());
  EXPECT_EQ(payload.size(), 4 * sizeof(uint32_t));
  EXPECT_TRUE(Codec<acme::Image>::Verify(payload.bytes()).ok());
  acme::ImageView view = Codec<acme::Image>::MakeView(payload.bytes());
  EXPECT_THAT(view.runs, ElementsAre(2, 3, 1));
  EXPECT_EQ(Codec<acme::Image>::Decode(view), Stripes());
}

TEST(CustomCodecTest, ItsEncodingIsNamed) {
  EXPECT_EQ(Codec<acme::Image>::Type().encoding, Encoding::kCustom);
  EXPECT_EQ(TypeNameOf(Codec<acme::Image>::Type()), "acme.Image");
  EXPECT_EQ(SchemaText("acme.Image").value(),
            "// Not a FlatBuffer, but an encoding of its own, version 1:\n"
            "// u32 width, then u32 lengths of white and black runs\n");
}

TEST(CustomCodecTest, PayloadsOfAnotherVersionAreRefused) {
  ObjectType newer = Codec<acme::Image>::Type();
  ++newer.fingerprint;
  EXPECT_TRUE(IsReadableAs(Codec<acme::Image>::Type(), Codec<acme::Image>::Type()));
  EXPECT_FALSE(IsReadableAs(newer, Codec<acme::Image>::Type()));
}

TEST(CustomCodecTest, PartsWithCodecsOfTheirOwnAreNestedPayloads) {
  acme::Album album = Holidays();
  Payload payload = EncodeToPayload<acme::Album>(album);
  absl::Status verified = Codec<acme::Album>::Verify(payload.bytes());
  ASSERT_TRUE(verified.ok()) << verified;
  ViewOf<acme::Album> view = Codec<acme::Album>::MakeView(payload.bytes());
  EXPECT_THAT(view.images()[0].runs, ElementsAre(2, 3, 1));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view.images()[0].runs.data()) % 64, 4);
  EXPECT_EQ((*view.mascot())->name()->str(), "Leo");
  acme::Album read = Codec<acme::Album>::Decode(view);
  EXPECT_EQ(read.images, album.images);
  EXPECT_EQ(read.mascot, album.mascot);
  EXPECT_EQ(read.owners, album.owners);
}

TEST(CustomCodecTest, APartThatCannotBeEncodedFailsTheWhole) {
  acme::Album album = Holidays();
  album.parts[0].images.push_back({0, {true}});
  EXPECT_EQ(Codec<acme::Album>::EncodedSize(album).status(),
            absl::InvalidArgumentError("an image with pixels has a width"));
}

TEST(CustomCodecTest, DamagedPartsAreFound) {
  std::string bytes = EncodeToPayload<std::vector<acme::Image>>(std::vector{Stripes()}).ToString();
  // The run of 3 becomes a very long one.
  size_t run = bytes.find(std::string("\x03\0\0\0\x01", 5));
  bytes[run + 3] = 1;
  absl::Status status = Codec<std::vector<acme::Image>>::Verify(Payload(bytes).bytes());
  EXPECT_EQ(status,
            absl::DataLossError(absl::StrCat("payload of ", bytes.size(),
                                             " bytes is not a valid vector<acme.Image>: "
                                             "an acme.Image with more pixels than the limit")));
}

TEST(CustomCodecTest, ScalarsInDisguiseAreScalarsInThePayload) {
  EXPECT_EQ(Codec<acme::AccountId>::TypeName(), "acme.AccountId");
  EXPECT_EQ(EncodeToPayload<acme::AccountId>(acme::AccountId{5}).size(),
            EncodeToPayload<uint64_t>(uint64_t{5}).size());
  EXPECT_NE(Codec<acme::AccountId>::Type(), Codec<uint64_t>::Type());
  std::vector<acme::AccountId> ids = {{1}, {2}};
  EXPECT_EQ(DecodedFrom(ids), ids);
  EXPECT_EQ(DecodedFrom(std::optional(ids)), ids);
}

TEST(CustomCodecTest, ReferencesToOtherObjectsAreFoundWhereverTheyAre) {
  absl::InlinedVector<uint64_t, 4> ids;
  Codec<acme::Album>::ContainedIds(Holidays(), &ids);
  EXPECT_THAT(ids, testing::UnorderedElementsAre(500, 700, 100));
  ids.clear();
  using T = std::vector<std::optional<std::pair<acme::Link, int>>>;
  Codec<T>::ContainedIds(T{{{{1}, 0}}, std::nullopt, {{{2}, 0}}}, &ids);
  EXPECT_THAT(ids, ElementsAre(1, 2));
}

template <typename T>
concept ReportsIds = requires(const T& value, absl::InlinedVector<uint64_t, 4>* ids) {
  Codec<T>::ContainedIds(value, ids);
};

TEST(CustomCodecTest, TypesWithoutReferencesDoNotReportThem) {
  static_assert(ReportsIds<acme::Link>);
  static_assert(ReportsIds<std::vector<acme::Link>>);
  static_assert(!ReportsIds<acme::AccountId>);
  static_assert(!ReportsIds<std::vector<std::string>>);
  static_assert(!ReportsIds<std::pair<int, std::string>>);
}

}  // namespace
}  // namespace spillway

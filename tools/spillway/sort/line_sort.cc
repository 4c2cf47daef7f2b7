#include "tools/spillway/sort/line_sort.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace spillway::sort {
namespace {

constexpr size_t kKeyBytes = sizeof(LineEntry::key);
// Groups up to this size are sorted by insertion, those up to the next by std::sort on the keys:
// below that, clearing and walking 256 counters costs more than it saves.
constexpr size_t kInsertionLinesMax = 16;
constexpr size_t kComparisonLinesMax = 768;
// Reloading keys follows entries into the text at random; so many lines ahead they are fetched.
constexpr size_t kFetchAheadLines = 12;

// Sorts one block's lines.
class Sorter {
 public:
  explicit Sorter(const char* text) : text_(text) {}

  // Sorts lines that are equal in their first `depth` bytes and whose keys are the bytes behind
  // these. Up to `byte` bytes of the keys are equal too.
  void Sort(LineEntry* begin, LineEntry* end, size_t depth, size_t byte);

 private:
  struct Group {
    LineEntry* begin;
    LineEntry* end;
    size_t depth;
    size_t byte;
    size_t size() const { return static_cast<size_t>(end - begin); }
  };

  bool Less(const LineEntry& a, const LineEntry& b, size_t depth) const;
  void InsertionSort(const Group& group) const;
  void SortByKeys(const Group& group);
  bool Deepen(Group* group) const;
  Group Scatter(const Group& group);

  const char* const text_;
};

size_t KeyByte(const LineEntry& entry, size_t byte) {
  return (entry.key >> (8 * (kKeyBytes - 1 - byte))) & 0xff;
}

// Compares two lines of a group at `depth`.
bool Sorter::Less(const LineEntry& a, const LineEntry& b, size_t depth) const {
  if (a.key != b.key) return a.key < b.key;
  const size_t from = depth + kKeyBytes;
  const size_t common = std::min(a.length, b.length);
  // Equal keys and one line over within them: the shorter one is the start of the longer one.
  if (common > from) {
    const int order = std::memcmp(text_ + a.offset + from, text_ + b.offset + from, common - from);
    if (order != 0) return order < 0;
  }
  return a.length < b.length;
}

void Sorter::InsertionSort(const Group& group) const {
  for (LineEntry* i = group.begin + 1; i < group.end; ++i) {
    const LineEntry entry = *i;
    LineEntry* hole = i;
    for (; hole > group.begin && Less(entry, hole[-1], group.depth); --hole) *hole = hole[-1];
    *hole = entry;
  }
}

// Sorts by keys alone, then what is equal in them by what lies behind.
void Sorter::SortByKeys(const Group& group) {
  std::sort(group.begin, group.end,
            [](const LineEntry& a, const LineEntry& b) { return a.key < b.key; });
  for (LineEntry* begin = group.begin; begin < group.end;) {
    LineEntry* end = begin + 1;
    while (end < group.end && end->key == begin->key) ++end;
    if (end - begin > 1) Sort(begin, end, group.depth, kKeyBytes);
    begin = end;
  }
}

// Takes a group with equal keys eight bytes further: puts the lines that are over in their final
// places, in front, and loads new keys for the others. Returns false if there are no others to
// sort.
bool Sorter::Deepen(Group* group) const {
  const size_t depth = group->depth + kKeyBytes;
  LineEntry* const over = std::partition(group->begin, group->end,
                                         [depth](const LineEntry& e) { return e.length <= depth; });
  // Equal but for how many of the zeros in their keys are their own.
  std::sort(group->begin, over,
            [](const LineEntry& a, const LineEntry& b) { return a.length < b.length; });
  for (LineEntry* i = over; i < group->end; ++i) {
    if (i + kFetchAheadLines < group->end)
      __builtin_prefetch(text_ + i[kFetchAheadLines].offset + depth);
    i->key = LoadKey(text_ + i->offset, i->length, depth);
  }
  *group = {over, group->end, depth, 0};
  return group->size() > 1;
}

// Distributes a group by one byte of its keys and sorts all parts but the largest, which it
// returns: so the stack grows with the logarithm of the number of lines.
Sorter::Group Sorter::Scatter(const Group& group) {
  std::array<uint32_t, 256> counts{};
  for (const LineEntry* i = group.begin; i < group.end; ++i) ++counts[KeyByte(*i, group.byte)];
  std::array<uint32_t, 256> next;
  std::array<uint32_t, 256> ends;
  uint32_t sum = 0;
  size_t largest = 0;
  for (size_t value = 0; value < 256; ++value) {
    next[value] = sum;
    sum += counts[value];
    ends[value] = sum;
    if (counts[value] > counts[largest]) largest = value;
  }
  for (size_t value = 0; value < 256; ++value) {
    while (next[value] < ends[value]) {
      LineEntry entry = group.begin[next[value]];
      size_t home = KeyByte(entry, group.byte);
      while (home != value) {
        std::swap(entry, group.begin[next[home]++]);
        home = KeyByte(entry, group.byte);
      }
      group.begin[next[value]++] = entry;
    }
  }
  for (size_t value = 0; value < 256; ++value) {
    if (value == largest || counts[value] < 2) continue;
    Sort(group.begin + ends[value] - counts[value], group.begin + ends[value], group.depth,
         group.byte + 1);
  }
  return {group.begin + ends[largest] - counts[largest], group.begin + ends[largest], group.depth,
          group.byte + 1};
}

void Sorter::Sort(LineEntry* begin, LineEntry* end, size_t depth, size_t byte) {
  Group group = {begin, end, depth, byte};
  while (group.size() > 1) {
    if (group.size() <= kInsertionLinesMax) {
      InsertionSort(group);
      return;
    }
    if (group.byte < kKeyBytes) {
      // Bytes that all have in common need no distribution.
      uint64_t differing = 0;
      for (const LineEntry* i = group.begin; i < group.end; ++i)
        differing |= i->key ^ group.begin->key;
      group.byte = static_cast<size_t>(std::countl_zero(differing)) / 8;
    }
    if (group.byte >= kKeyBytes) {
      if (!Deepen(&group)) return;
      continue;
    }
    if (group.size() <= kComparisonLinesMax) {
      SortByKeys(group);
      return;
    }
    group = Scatter(group);
  }
}

}  // namespace

void SortLines(const char* text, absl::Span<LineEntry> lines) {
  Sorter(text).Sort(lines.data(), lines.data() + lines.size(), 0, 0);
}

}  // namespace spillway::sort

// SPDX-License-Identifier: MIT
// hostile_stream.hpp - event streams that go wrong wherever a parser may, cut in the worst places. Each
// stream is made from its seed alone, and is the same on every machine.
#pragma once

#include <support/random.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace support {

struct hostile_stream {
  std::string bytes = {};
  std::vector<std::size_t> cuts = {};  // ascending offsets; equal ones make an empty piece
};

namespace hostile {

using namespace std::string_view_literals;

constexpr std::string_view bom = "\xEF\xBB\xBF";

// clang-format off
constexpr std::string_view line_ends[] = {"\n", "\r", "\r\n"};
constexpr std::string_view blank_lines[] = {"\n\n", "\r\r", "\r\n\r\n", "\n\r", "\r\n\r", "\r\n\n", "\n\r\n", "\r\r\n"};
constexpr std::string_view names[] = {"data", "data", "data", "data", "data", "event", "id", "id", "retry"};

// Names that are almost right, or no names at all.
constexpr std::string_view odd_names[] = {
    "", "d", "da", "dat", "dataa", "Data", "DATA", "data ", " data", "ddata", "data\0"sv, "\0data"sv, "data\xC3",
    "dat\xC3\xA9", "\xC4\x91" "ata", "d\xC1\xA1ta", "\xEF\xBB\xBF" "data", "\xEF", "\xEF\xBB",
    "i", "idd", "ID", " id", "id\0"sv, "e", "even", "events", "Event", "event\t", "r", "retr", "retryy", "Retry",
    "comment", "lastEventId", "x",
};

constexpr std::string_view good_text[] = {
    "x", "0", "7", "{}", "[DONE]", "gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD",
    "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
    "\xF4\x8F\xBF\xBF", "sixteen bytes ok", "{\"id\":\"c-1\",\"choices\":[{\"delta\":{\"content\":\" token\"}}]}",
};

// Examples of each class of ill-formed UTF-8.
constexpr std::string_view ill_formed[] = {
    /* continuation bytes alone   */ "\x80", "\xBF", "\x8A", "\x8D",
    /* overlong                   */ "\xC0\x80", "\xC1\xBF", "\xC0\x8A", "\xE0\x80\x80", "\xE0\x9F\xBF",
                                     "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
    /* surrogates                 */ "\xED\xA0\x80", "\xED\xBF\xBF",
    /* beyond U+10FFFF            */ "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF",
    /* cut short                  */ "\xC2", "\xE0", "\xE0\xA0", "\xE2\x82", "\xEF\xBB", "\xF0", "\xF0\x9F",
                                     "\xF0\x9F\x98", "\xF4\x8F\xBF",
    /* cut short by another       */ "\xC3\xC3\xA9", "\xE2\x82\xC3\xA9", "\xF0\x9F\x98\xE2\x82\xAC",
};

// Looks like a line end or a border of a field, or is a trap for comparing bytes by arithmetic.
constexpr std::string_view odd_text[] = {
    "\0"sv, "\0\0"sv, "\t", "\v", "\f", "\x0E", "\x08", "\x1C", "\x1F", "\x7F", "\x89", "\x8B", "\x8C", "\x8E",
    "\xC2\x85", "\xC2\xA0", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF", ":", "::", ": ", " :", "\\n", "data: x",
    "id: 1",
};

constexpr std::string_view retries[] = {
    "0", "1", "1000", "03000", "00000000000000000000000000000000000000042", "4294967296", "18446744073709551614",
    "18446744073709551615", "18446744073709551616", "18446744073709551617", "18446744073709551625",
    "36893488147419103232", "99999999999999999999999999999999",
    "", " ", "-1", "+1", "1000x", "x1000", "1 ", " 1", "1.5", "0x10", "1e3", "1\0"sv, "\0001"sv, "1/", "1:",
    "\xD9\xA1", "1\xFF", "9\xC2", "\xEF\xBC\x91",
};
// clang-format on

class maker {
 public:
  explicit maker(std::uint64_t seed) : random_(seed) {}

  hostile_stream make() {
    if (random_.one_in(16)) {
      anything();
    } else {
      begin();
      ends_ = random_.below(6);
      for (auto blocks = random_.one_in(20) ? 0 : 1 + random_.below(5); blocks != 0; --blocks) block();
      if (random_.one_in(4)) unfinished_end();
    }
    if (random_.one_in(4)) damage();
    hostile_stream made;
    made.cuts = cuts();
    made.bytes = std::move(out_);
    return made;
  }

 private:
  // Bytes of a small alphabet, in orders that no grammar would make.
  void anything() {
    auto const kind = random_.below(3);
    for (auto n = random_.below(40); n != 0; --n) {
      if (kind == 0) {
        out_ += random_.byte();
      } else if (kind == 1) {
        out_ += random_.pick({"\r"sv, "\n"sv, "\r"sv, "\n"sv, "data"sv, "id"sv, ":"sv, " "sv, "x"sv});
      } else {
        out_ += random_.pick(
            {"\xEF"sv, "\xBB"sv, "\xBF"sv, "\r"sv, "\n"sv, "data:"sv, "\xF0"sv, "\x9F"sv, "\0"sv});
      }
    }
  }

  void begin() {
    switch (random_.below(12)) {
    case 0:
    case 1: out_ += bom; break;
    case 2: out_ += bom.substr(0, 1 + random_.below(2)); break;  // only the beginning of a mark
    case 3: (out_ += bom) += bom; break;
    case 4: (out_ += random_.pick(line_ends)) += bom; break;
    default: break;
    }
  }

  // Most streams keep to one kind of line end. In the others each line has its own.
  std::string_view line_end() { return ends_ < 3 ? line_ends[ends_] : random_.pick(line_ends); }

  void block() {
    auto const begin = out_.size();
    for (auto lines = random_.below(6); lines != 0; --lines) {
      line();
      out_ += line_end();
    }
    if (random_.one_in(60) && out_.size() > begin) {  // repeats the same lines many times
      auto const again = out_.substr(begin);
      for (auto n = 1 + random_.below(3000 / again.size() + 1); n != 0; --n) out_ += again;
    }
    if (random_.one_in(8)) {
      out_ += random_.pick(blank_lines);
    } else if (!random_.one_in(20)) {  // otherwise two blocks become one
      out_ += line_end();
    }
  }

  void line() {
    switch (random_.below(20)) {
    case 0:
    case 1: comment(); break;
    case 2: out_ += random_.pick(odd_names); break;
    case 3:
      out_ += random_.pick(odd_names);
      separator();
      value();
      break;
    case 4: out_ += random_.pick({" "sv, "\t"sv, "  "sv, "\0"sv, "\f"sv, "\xFF"sv, ""sv}); break;
    case 5: value(); break;
    case 6: out_ += random_.pick(names); break;
    case 7:
    case 8:
      out_ += "retry";
      separator();
      out_ += random_.pick(retries);
      break;
    case 9:
      out_ += "id";
      separator();
      if (random_.one_in(3)) {
        value();
      } else {
        out_ += std::to_string(random_.below(1000));
        if (random_.one_in(6)) out_ += '\0';
      }
      break;
    default:
      out_ += random_.pick(names);
      separator();
      value();
      break;
    }
  }

  void comment() {
    out_ += ':';
    if (random_.one_in(2)) out_ += ' ';
    if (!random_.one_in(3)) value();
  }

  void separator() {
    out_ += random_.one_in(3) ? ":"sv : ": "sv;
    if (random_.one_in(12)) out_ += ' ';
  }

  void value() {
    auto const sort = random_.below(16);
    if (sort < 2) return;
    if (random_.one_in(150)) {  // larger than any buffer on the way
      auto const piece = random_.one_in(2) ? random_.pick(good_text) : random_.pick(odd_text);
      for (auto const end = out_.size() + 200 + random_.below(9000); out_.size() < end;) out_ += piece;
    }
    // Reaches over the borders of the parser's blocks
    if (random_.one_in(6)) out_.append(random_.below(150), 'x');
    for (auto n = 1 + random_.below(3); n != 0; --n) {
      if (sort < 8) {
        out_ += random_.pick(good_text);
      } else if (sort < 11) {
        out_ += random_.pick(ill_formed);
      } else if (sort < 14) {
        out_ += random_.pick(odd_text);
      } else {
        out_ += random_.one_in(2)   ? random_.pick(good_text)
                : random_.one_in(2) ? random_.pick(ill_formed)
                                    : random_.pick(odd_text);
        if (random_.one_in(4)) out_ += random_.byte();
      }
    }
  }

  void unfinished_end() {
    line();
    if (random_.one_in(3)) out_ += '\r';
  }

  // Loses, doubles, adds or changes a few bytes, as between two programs that do not agree.
  void damage() {
    for (auto n = 1 + random_.below(3); n != 0 && !out_.empty(); --n) {
      auto const at = random_.below(out_.size());
      auto const size = 1 + random_.below((std::min)(std::size_t{8}, out_.size() - at));
      switch (random_.below(6)) {
      case 0: out_.erase(at, size); break;
      case 1: out_.insert(at, out_.substr(at, size)); break;
      case 2: out_[at] = random_.byte(); break;
      case 3: out_.insert(at, random_.pick(line_ends)); break;
      case 4: out_.insert(at, random_.pick(ill_formed)); break;
      default:
        if (random_.one_in(3)) out_.resize(at);
        break;
      }
    }
  }

  // Places inside a CRLF, after a CR, inside a code point or a byte order mark, before and after a colon, and
  // after the space.
  [[nodiscard]] bool bad_place(std::size_t at) const {
    auto const before = static_cast<unsigned char>(out_[at - 1]);
    auto const after = static_cast<unsigned char>(out_[at]);
    return before == '\r' || after == '\n' || (after & 0xC0) == 0x80 || before == ':' || after == ':' ||
           (before == ' ' && at > 1 && out_[at - 2] == ':');
  }

  std::vector<std::size_t> cuts() {
    std::vector<std::size_t> found;
    auto const size = out_.size();
    auto const way = random_.below(8);
    auto const step = way == 0 ? 1 : 1 + random_.below(random_.one_in(2) ? 8 : 130);
    auto const rare = std::size_t{2} << random_.below(6);
    for (std::size_t at = 1; at < size; ++at) {
      bool cut = false;
      switch (way) {
      case 0:
      case 1:
      case 2: cut = at % step == 0; break;  // pieces of equal size; in one of eight streams, of one byte
      case 3:
      case 4: cut = random_.one_in(rare); break;
      case 5: cut = bad_place(at); break;
      case 6: cut = bad_place(at) ? random_.one_in(2) : random_.one_in(40); break;
      default: cut = size < 4 || at % (size / 2) == 0; break;  // in two or three pieces
      }
      if (cut) found.push_back(at);
      if (cut && random_.one_in(30)) found.push_back(at);
    }
    return found;
  }

  random random_;
  std::string out_;
  std::size_t ends_ = 0;  // below 3: the kind of line end that the stream keeps to
};

}  // namespace hostile

inline hostile_stream make_hostile_stream(std::uint64_t seed) { return hostile::maker(seed).make(); }

/// The shortest stream that can be made of this one by leaving out pieces and cuts while `fails` stays true.
template <class Fails> hostile_stream shortened(hostile_stream stream, Fails fails) {
  auto const without = [](hostile_stream const& whole, std::size_t at, std::size_t size) {
    hostile_stream less;
    less.bytes = whole.bytes;
    less.bytes.erase(at, size);
    for (auto cut : whole.cuts) {
      if (cut > at) cut = cut >= at + size ? cut - size : at;
      if (cut != 0 && cut < less.bytes.size()) less.cuts.push_back(cut);
    }
    return less;
  };
  bool shorter = true;
  while (shorter) {
    shorter = false;
    auto const keep = [&](hostile_stream less) {
      if (!fails(less)) return false;
      stream = std::move(less);
      return shorter = true;
    };
    for (auto size = stream.bytes.size(); size != 0; size /= 2) {
      for (std::size_t at = 0; at < stream.bytes.size();) {
        if (!keep(without(stream, at, (std::min)(size, stream.bytes.size() - at)))) at += size;
      }
    }
    for (auto n = stream.cuts.size(); n != 0; n /= 2) {
      for (std::size_t i = 0; i < stream.cuts.size();) {
        auto less = stream;
        auto const first = less.cuts.begin() + static_cast<std::ptrdiff_t>(i);
        less.cuts.erase(first, first + static_cast<std::ptrdiff_t>((std::min)(n, less.cuts.size() - i)));
        if (!keep(std::move(less))) i += n;
      }
    }
  }
  return stream;
}

/// The stream as a test would hold it: a C++ literal and the cuts.
inline std::string as_code(hostile_stream const& stream) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "\"";
  bool hex = false;  // the escape before would swallow a digit that follows
  for (char const c : stream.bytes) {
    auto const byte = static_cast<unsigned char>(c);
    bool const plain = byte >= 0x20 && byte < 0x7F;
    if (hex && plain && (digits.find(c) != std::string_view::npos || (c >= 'a' && c <= 'f'))) out += "\" \"";
    hex = false;
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (plain) {
      out += c;
    } else {
      ((out += "\\x") += digits[byte / 16]) += digits[byte % 16];
      hex = true;
    }
  }
  out += "\"sv, {";
  for (auto const cut : stream.cuts) out += (cut == stream.cuts.front() ? "" : ", ") + std::to_string(cut);
  return out + '}';
}

}  // namespace support

"""Writes text.h: texts and the pieces that Hugging Face's tokenizers makes of them, for test_text.c.

    python text.py > text.h        (tokenizers 0.23)

The vocabulary is made up here, of all characters that occur and of random pieces of the texts. Two things are done to the
reference's offsets, which are of characters and leave dropped marks out: they become bytes, and a mark that is dropped belongs to the
letter before it.
"""
import random
import unicodedata

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

R = random.Random(20261126)

WORDS = ("patient patients heart failure echocardiogram myocardial infarction 12.5 mg/dL BP:140/90 p53 mRNA café naïve Ménière "
         "e\u0301le\u0300ve Ångström ÅNGSTRÖM ﬁbrosis œdème Straße STRASSE ẞ İstanbul DİYARBAKIR ıI Ελλάδα ΟΔΥΣΣΕΥΣ ᾼδης Москва ЙОД йод "
         "中文字 東京タワー カタカナ 한국어 각 العربية الْعَرَبِيَّة עִבְרִית हिन्दी ไทย ｆｕｌｌ１２ ＡＢＣ 豈更 \U00020000x a\u200db soft\u00adhyphen "
         "zero\u200bwidth \ufeffbom x\u0000y bad\ufffdchar 👩\u200d👩\u200d👧 👍🏽 ❤\ufe0f 🇩🇪 ≠ a≠b «quoted» “curly” it's don\u2019t – — … ¿qué? "
         "α-synuclein TNF-α IL-6 H₂O 10⁻³ ½ № ™ \u0301lone x\u0301\u0302\u0303y ạ̇ q̣̇ _under_score #hash ##hash [MASK] [unk] $5 50% a\tb "
         "line\nbreak cr\r\nlf nb\u00a0sp em\u2003sp ideographic\u3000space ls\u2028ps\u2029x \u0085nel vt\u000bff\u000c "
         "Zürich FACHÄRZTIN ÉÈÊË ñandú Dvořák Łódź ŁÓDŹ").split(" ")


def texts():
    out = ["", " ", "\u0301", "\u200d", "a", ".", "!!!"]
    for _ in range(60):
        n = R.randint(1, 12)
        out.append(R.choice(["", " "]).join([""] + [R.choice(WORDS) + R.choice([" ", " ", "  ", "", ","]) for _ in range(n)]))
    out.append("x" * 200)
    out.append("x" * 201 + " y")
    out.append("é" * 200 + "e\u0301" * 3)
    return out


def vocabulary(texts_, lowercase):
    normal = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lowercase)
    words = set()
    for t in texts_:
        words.update(w for w, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normal.normalize_str(t)))
    words = sorted(w for w in words if len(w) < 100)
    chars = sorted({c for w in words for c in w})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    keep = [c for c in chars if R.random() < 0.9]
    pieces += keep + ["##" + c for c in keep if R.random() < 0.95]
    for _ in range(260):
        w = R.choice(words)
        a = R.randint(0, len(w) - 1)
        b = R.randint(a + 1, len(w))
        pieces.append(("##" if a else "") + w[a:b])
    return list(dict.fromkeys(pieces)), normal


def c_string(data):
    out = []
    for byte in data:
        if 32 <= byte < 127 and byte not in b'"\\?':
            out.append(chr(byte))
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


def dropped(c):
    return c in "\u0000\ufffd" or (unicodedata.category(c) in ("Cc", "Cf") and c not in "\t\n\r")


def alone(c):
    o = ord(c)
    return (33 <= o <= 47 or 58 <= o <= 64 or 91 <= o <= 96 or 123 <= o <= 126 or unicodedata.category(c).startswith("P") or
            0x3400 <= o <= 0x4DBF or 0x4E00 <= o <= 0x9FFF or 0xF900 <= o <= 0xFAFF or 0x20000 <= o <= 0x2CEAF)


def main():
    all_texts = texts()
    for lowercase in (True, False):
        name = "lower" if lowercase else "cased"
        pieces, normal = vocabulary(all_texts, lowercase)
        model = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=200))
        model.normalizer = normal
        model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        print(f"static const char *const {name}_pieces[] = {{")
        for i in range(0, len(pieces), 12):
            print("\t" + " ".join(c_string(p.encode()) + "," for p in pieces[i:i + 12]))
        print("};")
        rows = []
        for number, t in enumerate(all_texts):
            e = model.encode(t, add_special_tokens=False)
            place = [0]
            for c in t:
                place.append(place[-1] + len(c.encode()))
            values = []
            for i, (a, b) in zip(e.ids, e.offsets):
                if lowercase and not (b - a == 1 and (alone(t[a]) or any(alone(c) for c in normal.normalize_str(t[a]).strip()))):
                    j = b
                    while j < len(t) and (unicodedata.category(t[j]) == "Mn" or dropped(t[j])):
                        j += 1
                        if unicodedata.category(t[j - 1]) == "Mn":
                            b = j
                values += [i, place[a], place[b]]
            rows.append((t, len(e.ids), number))
            print(f"static const int32_t {name}_{number}[] = {{{', '.join(map(str, values)) or '0'}}};")
        print(f"static const PieceCase {name}_cases[] = {{")
        for t, n, number in rows:
            data = t.encode()
            print(f"\t{{{c_string(data)}, {len(data)}, {n}, {name}_{number}}},")
        print("};")


main()

/**
 * Google's product feed in XML: RSS 2.0 with `item`, or Atom with `entry`, and attributes in Google's namespace.
 * Source: Google Merchant Center help, "Product data specification" and "XML example file".
 *
 * A document type is refused whole, before anything of it is used: no feed needs one, and entities of its own are how a
 * small file becomes a large one, or reads files of ours. Attributes with members (`g:shipping`) become `shipping.price`.
 */
import sax from "sax";
import { FEED_ROWS_MAX, fieldName, ROW_CHARACTERS_MAX, ROW_FIELDS_MAX, type RowParser, type RowSink } from "./feed.ts";
import { feedError } from "./feed-error.ts";

/** The namespace of what Google added to RSS and Atom. */
export const GOOGLE_NAMESPACE = "http://base.google.com/ns/1.0";

/** A feed is `rss > channel > item > g:shipping > g:price`; what is deeper is something else. */
const DEPTH_MAX = 16;

/** Of a piece after which attributes are counted: of a thousand in it the last one is compared with the others in no time. */
const PIECE_CHARACTERS = 8_192;

/** Row elements: of RSS and of Atom. */
const ROW_ELEMENTS = new Set(["item", "entry"]);

type Open = { readonly name: string; readonly google: boolean; text: string; hasMembers: boolean };

/** Reads Google's XML. */
export class GoogleXmlParser implements RowParser {
  readonly #parser: sax.SAXParser;
  readonly #sink: RowSink;
  readonly #open: Open[] = [];
  /** How many elements are open around the row's own; undefined outside a row. */
  #rowDepth: number | undefined;
  #google = new Map<string, string>();
  #plain = new Map<string, string>();
  #rowCharacters = 0;
  #rowTooLong = false;
  #number = 0;
  #sawElement = false;

  constructor(sink: RowSink) {
    this.#sink = sink;
    this.#parser = sax.parser(true, { xmlns: true });
    this.#parser.onerror = (error) => {
      throw feedError("feed.malformed", `the feed is no well-formed XML: ${error.message.replaceAll(/\s+/g, " ")}`);
    };
    this.#parser.ondoctype = () => {
      throw feedError("feed.forbidden-markup", "the feed has a document type declaration");
    };
    this.#parser.onprocessinginstruction = ({ name, body }) => this.#declaration(name, body);
    this.#parser.onopentag = (tag) => this.#openTag(tag as sax.QualifiedTag);
    this.#parser.ontext = (text) => this.#text(text);
    this.#parser.oncdata = (text) => this.#text(text);
    this.#parser.onclosetag = () => this.#closeTag();
  }

  write(text: string): void {
    for (let at = 0; at < text.length; at += PIECE_CHARACTERS) {
      this.#parser.write(text.slice(at, at + PIECE_CHARACTERS));
      this.#refuseManyAttributes();
    }
  }

  end(): void {
    this.#parser.close();
    if (!this.#sawElement) throw feedError("feed.malformed", "the feed has no element");
  }

  /** Each attribute is compared with all those before it until the tag ends, and nothing is told of them before that. */
  #refuseManyAttributes(): void {
    // Not in the parser's type; the test of it tells whether it is there.
    const { attribList } = this.#parser as sax.SAXParser & { readonly attribList?: readonly unknown[] };
    if ((attribList?.length ?? 0) <= ROW_FIELDS_MAX) return;
    throw feedError("feed.malformed", `an element has more than ${ROW_FIELDS_MAX} attributes`);
  }

  #declaration(name: string, body: string): void {
    if (name.toLowerCase() !== "xml") return;
    const encoding = /encoding\s*=\s*["']([^"']*)["']/i.exec(body)?.[1]?.toLowerCase() ?? "utf-8";
    if (["utf-8", "utf8", "us-ascii", "ascii"].includes(encoding)) return;
    throw feedError("feed.not-text", `the feed is written in ${encoding}; only UTF-8 is read`);
  }

  #openTag(tag: sax.QualifiedTag): void {
    this.#sawElement = true;
    if (this.#open.length >= DEPTH_MAX) {
      throw feedError("feed.malformed", `elements lie more than ${DEPTH_MAX} deep in each other`);
    }
    const parent = this.#open.at(-1);
    if (parent !== undefined) parent.hasMembers = true;
    const opened: Open = {
      name: fieldName(tag.local),
      google: tag.uri === GOOGLE_NAMESPACE,
      text: "",
      hasMembers: false,
    };
    if (this.#rowDepth === undefined && !opened.google && ROW_ELEMENTS.has(opened.name)) {
      this.#rowDepth = this.#open.length;
      this.#google = new Map();
      this.#plain = new Map();
      this.#rowCharacters = 0;
      this.#rowTooLong = false;
    } else if (this.#rowDepth !== undefined && opened.name === "link") {
      // Atom writes the address as an attribute.
      opened.text = tag.attributes["href"]?.value ?? "";
    }
    this.#open.push(opened);
  }

  #text(text: string): void {
    const open = this.#open.at(-1);
    if (open === undefined || this.#rowDepth === undefined || this.#rowTooLong) return;
    this.#rowCharacters += text.length;
    if (this.#rowCharacters > ROW_CHARACTERS_MAX) this.#rowTooLong = true;
    else open.text += text;
  }

  #closeTag(): void {
    const closed = this.#open.pop();
    if (closed === undefined || this.#rowDepth === undefined) return;
    if (this.#open.length === this.#rowDepth) this.#endRow();
    else if (!closed.hasMembers) this.#keep(closed);
  }

  #keep(closed: Open): void {
    const path = this.#open.slice((this.#rowDepth ?? 0) + 1).map((open) => open.name);
    const fields = closed.google ? this.#google : this.#plain;
    const name = [...path, closed.name].join(".");
    const text = closed.text.trim();
    // A repeated attribute (a second image, a second kind of product): the first one counts.
    if (text !== "" && !fields.has(name)) fields.set(name, text);
    if (fields.size > ROW_FIELDS_MAX) this.#rowTooLong = true;
  }

  #endRow(): void {
    this.#rowDepth = undefined;
    this.#number += 1;
    if (this.#number > FEED_ROWS_MAX) throw feedError("feed.too-large", `the feed has more than ${FEED_ROWS_MAX} rows`);
    if (this.#rowTooLong) this.#sink({ kind: "broken", number: this.#number, reason: "row-too-long" });
    else this.#sink({ kind: "row", number: this.#number, fields: new Map([...this.#plain, ...this.#google]) });
  }
}

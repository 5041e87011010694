/**
 * The browser over all samples. What is shown follows from the address alone: the form, links and keys change the address, and
 * every change of the address is shown.
 */
import { fromHash, type Place, toHash } from '../samples/criteria.ts';
import type { EmbeddedIndex } from '../samples/embedded.ts';
import { badge, find, make } from './elements.ts';
import { filterCases } from './filter.ts';
import { showSample } from './sample.ts';
import { TextSearch } from './search.ts';
import { openStore, type Store } from './store.ts';

const PAGE = 10;

class Browser {
  readonly #store: Store;
  readonly #search = new TextSearch();
  /** Of the cases, by their names. */
  readonly #numbers: ReadonlyMap<string, number>;
  /** Blocks that can be searched. */
  #searchable = 0;
  readonly #form = find('#browser form', HTMLFormElement);
  readonly #found = find('#found', HTMLElement);
  readonly #rows = find('#browser .list tbody', HTMLElement);
  readonly #sample = find('#sample', HTMLElement);
  readonly #fewer = find('#fewer', HTMLButtonElement);
  readonly #more = find('#more', HTMLButtonElement);
  #place: Place = {};
  #cases: number[] = [];
  #first = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#numbers = new Map(store.index.columns.id.map((_, number) => [nameOf(store.index, number), number]));
    this.#form.addEventListener('input', () => this.#go(this.#criteria(), false));
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#form.addEventListener('reset', () => this.#go({}, false));
    this.#fewer.addEventListener('click', () => this.#turn(-PAGE));
    this.#more.addEventListener('click', () => this.#turn(PAGE));
    addEventListener('hashchange', () => this.#follow(true));
    addEventListener('keydown', (event) => this.#press(event));
    this.#follow(true);
  }

  /** Makes the texts searchable, block by block, between what the reader does. */
  async readAll(): Promise<void> {
    const { index } = this.#store;
    for (const [block, start] of index.blocks.entries()) {
      this.#search.add(start, await this.#store.readBlock(block));
      this.#searchable++;
      if (this.#place.text && block % 16 === 0) this.#apply();
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (this.#place.text) this.#apply();
    document.documentElement.dataset.searchable = 'all';
  }

  #criteria(): Place {
    return fromHash(toHash(Object.fromEntries(new FormData(this.#form)))) ?? {};
  }

  #go(place: Place, scroll: boolean): void {
    history.replaceState(null, '', toHash(place));
    this.#follow(scroll);
  }

  #follow(scroll: boolean): void {
    const place = fromHash(location.hash);
    if (place) this.#place = place;
    const { sample, ...criteria } = this.#place;
    for (const field of this.#form.elements) {
      if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) continue;
      const value = criteria[field.name as keyof typeof criteria];
      if (field instanceof HTMLInputElement && field.type === 'checkbox') field.checked = value === true;
      else if (field !== document.activeElement) field.value = String(value ?? '');
    }
    this.#apply();
    if (place && scroll && !sample) find('#samples', HTMLElement).scrollIntoView();
    void this.#showSample(scroll);
  }

  /** Finds and shows what the place says. */
  #apply(): void {
    const { index } = this.#store;
    const { text } = this.#place;
    const start = performance.now();
    let cases = filterCases(index, this.#place);
    if (text) {
      const having = this.#search.find(this.#place);
      cases = cases.filter((number) => having.has(number));
    }
    this.#cases = cases;
    const all = index.columns.id.length;
    const read = this.#searchable < index.blocks.length;
    const partly =
      text && read
        ? `, ${Math.floor((100 * this.#searchable) / index.blocks.length)} % of the texts searched so far`
        : '';
    this.#found.textContent = `${cases.length.toLocaleString('en')} of ${all.toLocaleString('en')} samples${partly}`;
    const open = this.#open();
    this.#first = open === -1 ? 0 : open - (open % PAGE);
    this.#showRows();
    performance.measure('filter', { start });
  }

  /** The place of the open sample among those that were found; -1 where none is. */
  #open(): number {
    const { sample } = this.#place;
    return sample ? this.#cases.indexOf(this.#numbers.get(sample) ?? -1) : -1;
  }

  #turn(by: number): void {
    this.#first += by;
    this.#showRows();
  }

  #showRows(): void {
    const { index } = this.#store;
    const shown = this.#cases.slice(this.#first, this.#first + PAGE);
    this.#rows.replaceChildren(...shown.map((number) => this.#row(index, number)));
    const last = this.#first + shown.length;
    find('#page', HTMLElement).textContent = shown.length === 0 ? '' : `${this.#first + 1} to ${last}`;
    this.#fewer.disabled = this.#first === 0;
    this.#more.disabled = last >= this.#cases.length;
  }

  #row(index: EmbeddedIndex, number: number): HTMLElement {
    const { columns, kinds, arms } = index;
    const name = nameOf(index, number);
    const title = columns.title[number] ?? '';
    const link = make('a', { href: toHash({ ...this.#place, sample: name }) }, title);
    const ends = ['base', 'trained'].map((arm) => {
      const { first, last } = columns.arms[arms.findIndex((each) => each.name === arm)] ?? {};
      const answers = [first?.[number], last?.[number]].map((kind) => kinds[kind ?? -1] ?? '');
      const [one = '', other = ''] = answers;
      const retried = one !== other ? [' → ', badge(other === 'passed', other)] : [];
      return make('td', {}, badge(one === 'passed', one), ...retried);
    });
    const current = this.#place.sample === name ? { 'aria-current': 'true' } : {};
    return make('tr', current, make('th', { scope: 'row' }, link), ...ends);
  }

  async #showSample(scroll: boolean): Promise<void> {
    const { sample } = this.#place;
    const number = this.#numbers.get(sample ?? '');
    if (number === undefined) return this.#sample.replaceChildren();
    const read = await this.#store.readCase(number);
    if (this.#place.sample !== sample) return; // another one was opened meanwhile
    const link = toHash({ sample: nameOf(this.#store.index, number) });
    this.#sample.replaceChildren(this.#neighbours(), ...showSample(this.#store.index, read, link));
    if (!scroll) return;
    this.#sample.scrollIntoView();
    this.#sample.focus({ preventScroll: true });
  }

  #neighbours(): HTMLElement {
    const link = (step: number, text: string) => {
      const next = this.#next(step);
      return next ? make('a', { href: toHash(next) }, text) : make('span', {}, text);
    };
    const open = this.#open();
    const place = open === -1 ? 'not among those found' : `${open + 1} of ${this.#cases.length}`;
    return make('p', { class: 'pages' }, link(-1, '← previous'), place, link(1, 'next →'));
  }

  /** The place with the next sample open, or the first where none is; undefined where there is none. */
  #next(step: number): Place | undefined {
    const open = this.#open();
    const next = this.#cases[open === -1 ? 0 : open + step];
    return next === undefined ? undefined : { ...this.#place, sample: nameOf(this.#store.index, next) };
  }

  #press({ key, target, altKey, ctrlKey, metaKey, shiftKey }: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    const writes = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    const next = step && this.#next(step);
    if (!next || writes || altKey || ctrlKey || metaKey || shiftKey) return;
    this.#go(next, true);
  }
}

/** As in an address. */
function nameOf({ columns, decodings }: EmbeddedIndex, number: number): string {
  return `${decodings[columns.decoding[number] ?? 0]}.${columns.sample[number]}.${columns.id[number]}`;
}

/** Only what can be scrolled is a stop for the keyboard. */
function stopWhereScrolled(): void {
  for (const region of document.querySelectorAll('.scroll')) {
    if (region.scrollWidth > region.clientWidth) region.setAttribute('tabindex', '0');
    else region.removeAttribute('tabindex');
  }
}

async function start(): Promise<void> {
  stopWhereScrolled();
  addEventListener('resize', stopWhereScrolled);
  const data = [...document.querySelectorAll('script[type="application/octet-stream"]')];
  const store = await openStore(data.map((element) => element.textContent ?? ''));
  find('#browser', HTMLElement).hidden = false;
  await new Browser(store).readAll();
}

void start();

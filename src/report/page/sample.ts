/** One sample in full: the query, then what each arm made of it, side by side. */
import type { Attempt, EpisodeResult } from '../../protocol/methods.ts';
import { describeQuery, showCalls } from '../samples/describe.ts';
import type { EmbeddedCase, EmbeddedIndex } from '../samples/embedded.ts';
import { badge, make } from './elements.ts';

type Completion = Pick<Attempt, 'completion' | 'tokens' | 'finish_reason'> & {
  prompt_tokens?: number | undefined;
};

export function showSample(index: EmbeddedIndex, shown: EmbeddedCase, link: string): Node[] {
  const { title, more } = describeQuery(shown.fields);
  const number = shown.sample > 0 ? `, try ${shown.sample + 1}` : '';
  const facts = `${shown.decoding} decoding${number}, query ${shown.id}`;
  const arms = index.arms.flatMap(({ name, label }) => {
    const episode = shown.episodes[name];
    return episode ? [showArm(label, episode)] : [];
  });
  return [
    make('h3', {}, make('code', {}, title)),
    make('p', { class: 'note' }, `${facts}: `, make('a', { href: link }, 'link to this sample')),
    ...more.flatMap(([name, text]) => [make('h4', {}, name), make('pre', {}, text)]),
    make('div', { class: 'sides' }, ...arms),
  ];
}

function showArm(label: string, { first, rounds }: EpisodeResult): HTMLElement {
  const several = rounds.length > 1;
  return make(
    'section',
    {},
    make('h3', {}, `${label[0]?.toUpperCase()}${label.slice(1)}`),
    ...(first ? showAnswer('First answer', first) : []),
    ...rounds.flatMap(({ reflection, retry }, round) => [
      ...(reflection ? showText(`Reflection${several ? ` ${round + 1}` : ''}`, reflection, null) : []),
      ...showAnswer(`Retry${several ? ` ${round + 1}` : ''}`, retry),
    ]),
  );
}

function showAnswer(name: string, answer: Attempt): Node[] {
  const { passed, kind, detail } = answer.verdict;
  return [
    ...showText(name, answer, badge(passed, kind)),
    ...(detail === '' ? [] : [make('p', { class: 'note' }, detail)]),
  ];
}

function showText(name: string, said: Completion, mark: HTMLElement | null): Node[] {
  const { completion, tokens, prompt_tokens, finish_reason } = said;
  const prompt = prompt_tokens === undefined ? '' : `, prompt ${prompt_tokens}`;
  const cut = finish_reason === 'length' ? ', cut at the limit' : '';
  const shown = showCalls(completion);
  return [
    make('h4', {}, `${name} `, mark, ` · ${tokens} tokens${prompt}${cut}`),
    make('pre', {}, shown),
    ...(shown === completion
      ? []
      : [make('details', {}, make('summary', {}, 'as it was written'), make('pre', {}, completion))]),
  ];
}

/** What a rule finds: it names every key that it rests on, the culprit first. */
export interface Finding {
  keys: readonly [string, ...string[]];
  message: string;
  cure: string;
  warning?: true;
}

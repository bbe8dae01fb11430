import { checkKeys } from '@mamba-ts/ssm';
import type { Fields } from './field-reader';

/** `'s6'`, or `{ kind: 's6', dState: 8 }`. */
type Choice = string | { readonly kind: string };

export function kindOf(choice: Choice): string {
  return typeof choice === 'string' ? choice : choice.kind;
}

/** What a choice says beside its kind. */
export function saidBy(choice: Choice): Fields {
  if (typeof choice === 'string') return {};
  const { kind: _kind, ...said } = choice;
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

/**
 * All settings: the defaults, and what is said instead.
 *
 * @throws OutOfRangeError for a setting that has no default here: one that the checkpoint's kind of model does not have
 */
export function filled<Settings extends object>(where: string, defaults: Settings, said: Fields): Settings {
  checkKeys(where, said, Object.fromEntries(Object.keys(defaults).map((name) => [name, true as const])));
  return { ...defaults, ...said };
}

/** What differs from the defaults, under the names that a file has for it. */
export function changedFields<Settings extends object>(
  settings: Settings,
  defaults: Settings,
  names: Partial<Readonly<Record<keyof Settings, string>>>,
): Fields {
  const changed = (Object.keys(names) as (keyof Settings)[]).filter(
    (name) => JSON.stringify(settings[name]) !== JSON.stringify(defaults[name]),
  );
  return Object.fromEntries(changed.map((name) => [names[name], settings[name]]));
}

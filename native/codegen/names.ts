/** How C names become TypeScript names. */

const RESERVED = new Set(('break case catch class const continue debugger default delete do else enum export extends '
  + 'false finally for function if implements import in instanceof interface let new null package private protected '
  + 'public return static super switch this throw true try typeof var void while with yield await eval arguments '
  + 'layouts enums').split(' '));

/** floating_ip → floatingIp */
export function camelCase(name: string): string {
  const [first = '', ...rest] = name.split('_').filter((part) => part !== '');
  return first + rest.map((part) => part[0]!.toUpperCase() + part.slice(1)).join('');
}

/** floating_ip → FloatingIp */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return (camel[0] ?? '').toUpperCase() + camel.slice(1);
}

/** The variable of an enum's values. @throws if the name is a keyword of TypeScript. */
export function variableName(name: string): string {
  const camel = camelCase(name);
  if (RESERVED.has(camel)) throw new Error(`enum ${name} cannot be named ${camel} in TypeScript`);
  return camel;
}

/** pad, pad2, _pad, padding: written as zero, not shown. */
export function isPadding(fieldName: string): boolean {
  return /^_*pad(ding)?_?\d*$/.test(fieldName);
}

/**
 * What the enumerators have in common: whole words, trailing underscore
 * included. A single enumerator shares words with its enum instead:
 * VM_COMMITTED of vm_flag begins with VM_.
 */
export function commonPrefix(enumName: string, names: readonly string[]): string {
  const compared = names.length === 1 ? [...names, `${enumName.toUpperCase()}_`] : names;
  const [first = ''] = compared;
  let prefix = '';
  for (let end = first.indexOf('_'); end >= 0; end = first.indexOf('_', end + 1)) {
    const candidate = first.slice(0, end + 1);
    if (!compared.every((name) => name.startsWith(candidate) && name.length > candidate.length)) break;
    prefix = candidate;
  }
  return prefix;
}

/** REASONS of enum reason, MAPPING_PROTOCOLS of enum mapping_protocol, INTERFACES beside INTERFACE_HA. */
export function isCount(enumerator: string, enumName: string, prefix: string): boolean {
  return enumerator === `${enumName.toUpperCase()}S`
    || (prefix !== '' && enumerator === `${prefix.slice(0, -1)}S`);
}

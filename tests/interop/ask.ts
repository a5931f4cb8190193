// Answers questions on stdin: a JSON list of [what, ...arguments], a list of { value } or { error } back.
import { readFileSync } from 'node:fs';
import { decryptCredentials, encryptCredentials } from './helper';
import { type Lowest, type Place, type Ring, associatedData, readSecret, writeSecret } from './reader';

function answer([what, ...rest]: [string, ...unknown[]]): unknown {
  if (what === 'read') return readSecret(rest[0], rest[1] as Ring, rest[2] as Place, rest[3] as Lowest | undefined);
  if (what === 'associatedData') return associatedData(rest[0] as Place).toString('hex');
  if (what === 'write') return writeSecret(rest[0] as string, rest[1] as Ring, rest[2] as Place);
  if (what === 'encrypt') return encryptCredentials(rest[0] as string);
  const { encrypted, iv, authTag } = rest[0] as Record<'encrypted' | 'iv' | 'authTag', string>;
  return decryptCredentials(encrypted, iv, authTag);
}

const questions = JSON.parse(readFileSync(0, 'utf8')) as [string, ...unknown[]][];
const answers = questions.map((question) => {
  try {
    return { value: answer(question) };
  } catch (error) {
    return { error: String(error) };
  }
});
process.stdout.write(JSON.stringify(answers));

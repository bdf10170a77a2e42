/* Waiting for what must come true. */
import { setTimeout as sleep } from "node:timers/promises";

const DEADLINE_MS = 20000;
const EVERY_MS = 20;

/* Asks again and again until the answer is truthy, and returns it; fails when that takes too long. */
export async function until(what, ask, deadlineMs = DEADLINE_MS) {
	const deadline = Date.now() + deadlineMs;
	for (;;) {
		const answer = await ask();
		if (answer)
			return answer;
		if (Date.now() > deadline)
			throw new Error(`waited ${deadlineMs / 1000} s until ${what}`);
		await sleep(EVERY_MS);
	}
}

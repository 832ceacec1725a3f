import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import { sentence } from "../state/explain.ts";
import { MAX_NAME_BYTES, nameProblem } from "../text/limits.ts";
import { roomOfAddress } from "./address.ts";
import { Logo } from "./logo.tsx";

/** Asks for a name, the first time and when the server refuses one. */
export function Welcome({ chat }: { chat: Chat }) {
  const refused = chat.nameProblem;
  const [name, setName] = useState(chat.settings.current.name ?? "");
  const [touched, setTouched] = useState(false);
  // The page asks for nothing else here.
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const own = nameProblem(name.trim(), MAX_NAME_BYTES);
  const problem =
    own ?? (refused !== undefined && !touched ? sentence(refused) : undefined);
  const room = roomOfAddress() ?? chat.active ?? "general";

  const submit = (event: Event): void => {
    event.preventDefault();
    if (!own) chat.setName(name.trim());
  };
  return (
    <main class="welcome">
      <form class="welcome-card" onSubmit={submit}>
        <Logo />
        <h1>Welcome to roomcast</h1>
        <p class="quiet">
          You are about to join <bdi class="strong">{room}</bdi>. What should
          the others call you?
        </p>
        <label class="field">
          <span>Your name</span>
          <input
            ref={field}
            name="name"
            autocomplete="nickname"
            spellcheck={false}
            dir="auto"
            placeholder="Leave it empty to be a guest"
            value={name}
            aria-invalid={problem !== undefined}
            aria-describedby="name-problem"
            onInput={(event) => {
              setName(event.currentTarget.value);
              setTouched(true);
            }}
          />
        </label>
        <p id="name-problem" class="problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="primary wide" disabled={own !== undefined}>
          Join the room
        </button>
      </form>
    </main>
  );
}

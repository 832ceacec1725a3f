export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="logo-back" width="32" height="32" rx="9" />
      <path
        class="logo-front"
        d="M9 8.500h14a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-6.200l-4.900 4.100a.7.7 0 0 1-1.150-.54V21.500H9a3 3 0 0 1-3-3v-7a3 3 0 0 1 3-3Z"
      />
      <g class="logo-back">
        <circle cx="11.500" cy="15" r="1.700" />
        <circle cx="16" cy="15" r="1.700" />
        <circle cx="20.500" cy="15" r="1.700" />
      </g>
    </svg>
  );
}

#!/bin/sh
# Makes the prompts anew with espeak-ng and sox: make.sh [name ...]; all of them without a name.
# A site that wants another voice puts its own files, mono, 8 kHz, 16 bit, in their place.
set -eu
cd "$(dirname "$0")"
say() {
    name=$1 text=$2
    [ -z "$wanted" ] || case " $wanted " in *" $name "*) ;; *) return 0 ;; esac
    espeak-ng -v cmn -s 160 -w "$name.raw.wav" "$text"
    # Telephone band; silence off both ends; -19 dB on average, no peak above -1.5 dB; A-law and back.
    sox "$name.raw.wav" -r 8000 -c 1 "$name.cut.wav" gain -6 highpass 200 lowpass 3600 \
        silence 1 0.02 0.6% reverse silence 1 0.02 0.6% reverse pad 0.1 0.15
    gain=$(sox "$name.cut.wav" -n stat 2>&1 | awk '/RMS.*amplitude/ { printf "%.1f", -19 - 20 * log($3) / log(10) }')
    sox "$name.cut.wav" "$name.al" gain -l "$gain" compand 0.001,0.05 -90,-90,-9,-9,0,-3 -1.5
    sox -t al -r 8000 -c 1 "$name.al" -b 16 -e signed-integer "$name.wav"
    rm -f "$name.raw.wav" "$name.cut.wav" "$name.al"
}
wanted="$*"
say urgent "值班室有紧急事项，确认请按1，不便请按3，重听请按星号。"
say urgent_live "值班室有紧急事项，确认请按1，加入通话请按6，不便请按3。"
say confirmed "已确认。听录音按2，通话按5，口述批示按9。"
say more "听录音按2，通话按5，口述批示按9，结束请挂机。"
say enter_pin "请输入口令，按井号键结束。"
say wrong_pin "口令错误，请重新输入。"
say pin_refused "口令错误，值班室将联系其他领导。"
say handed_on "已转替班领导，谢谢。"
say passed_on "已记录，值班室将联系其他领导。"
say dictate "请在提示音后口述批示，按井号键结束。"
say taken "已记录，谢谢。"
say no_recording "录音暂时无法播放，通话请按5。"
say unread "您确认的紧急事项尚未阅办。听录音按2，通话按5，口述批示按9，不便请按3。"
say instruction "领导已作批示，请在页面上查看，确认请按1。"
say urgent_cut "刚才的电话中断了。值班室有紧急事项，确认请按1，不便请按3。"
